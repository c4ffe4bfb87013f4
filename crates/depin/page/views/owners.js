// Owners: what their devices earned, what of it is paid out, and how to take the rest.
import { read, url } from "../api.js";
import { plain } from "../format.js";
import { html } from "../lib.js";
import { badge } from "../parts/badge.js";
import { command, copyable } from "../parts/copy.js";
import { asOf, mark } from "../parts/mark.js";
import { absent, shown } from "../parts/state.js";
import { finality, listed, table } from "../parts/table.js";
import { epoch, named, number, tokens, when } from "../parts/value.js";

/** @typedef {{address: string, devices: number, earned: string, claimed: string, claimable?: string, final?: boolean}} Owner */
/** @typedef {{epoch: number, amount: string, status: string, claimed: boolean, final?: boolean}} Claim */

export function owners() {
  const { from, csv } = listed("/owners");
  const answer = /** @type {any} */ (read(from, ["epochs", "events"]));
  return html`<div class="head"><h1 tabindex="-1">Owners</h1></div>
    <p class="lead">Earned is promised by closed epochs. Claimable is what final roots hold and nobody took yet. Claimed is in the owner's account.</p>
    ${table({
      id: "owners", caption: "Owners", answer, key: (/** @type {Owner} */ row) => row.address, csv, nothing: "No device has an owner yet.",
      columns: [
        { head: "Owner", kind: "main", cell: (row) => named("owners", row.address) },
        { head: "Devices", kind: "num", cell: (row) => number(row.devices) },
        { head: "Earned", kind: "num", cell: (row) => tokens(row.earned) },
        { head: "Claimable", kind: "num", cell: (row) => (row.claimable === undefined ? "–" : tokens(row.claimable)) },
        { head: "Claimed", kind: "num", cell: (row) => tokens(row.claimed) },
        finality("owner", (row) => row.address, answer.data?.at),
      ],
    })}`;
}

/** @param {string} address */
export function owner(address) {
  const path = encodeURIComponent(address);
  const topics = [`owner:${address}`, "epochs", "events"];
  // Its devices are a list of their own, with pages.
  const answer = /** @type {any} */ (read(url(`/owners/${path}`, { limit: 1 }), topics));
  if (answer.error && !answer.data) return absent("Owner", address, answer.error, "owners");
  const { from, csv } = listed(`/claims/${path}`);
  const claims = /** @type {any} */ (read(from, topics));
  return html`<div class="head"><h1 tabindex="-1">Owner</h1>${answer.data ? asOf("owner", answer.data.at) : null}</div>
    <p class="subject"><span class="mono break">${plain(address)}</span> ${copyable(address, "the owner's address")}</p>
    ${shown(answer, (data) => sums(data))}
    <section aria-labelledby="h-claims"><h2 id="h-claims">Claims</h2>
      <p class="lead">One for each epoch. A claim can be taken as soon as its epoch's root is final; before that, anybody can challenge the root.</p>
      ${take(address, answer.data)}
      ${table({
        id: "claims", caption: "Claims by epoch", answer: claims, key: (/** @type {Claim} */ row) => row.epoch, csv, nothing: "Nothing was earned yet.",
        columns: [
          { head: "Epoch", kind: "main", cell: (row) => epoch(row.epoch) },
          { head: "Amount", kind: "num", cell: (row) => tokens(row.amount) },
          { head: "State", cell: (row) => state(row) },
          finality("claim", (row) => row.epoch, claims.data?.at),
        ],
      })}
    </section>
    <section aria-labelledby="h-devices"><h2 id="h-devices">Devices</h2>${devices(address)}</section>`;
}

/** @param {any} data */
function sums(data) {
  return html`<dl class="facts">
    <div><dt>Earned</dt><dd>${tokens(data.earned)} ${mark("o-earned", data.final, data.at)}</dd></div>
    <div><dt>Claimable</dt><dd>${data.claimable === undefined ? "–" : html`${tokens(data.claimable)} ${mark("o-claimable", data.final, data.at)}`}</dd></div>
    <div><dt>Claimed</dt><dd>${tokens(data.claimed)} ${mark("o-claimed", data.final, data.at)}</dd></div>
  </dl>`;
}

/**
 * @param {string} address
 * @param {any} data
 */
function take(address, data) {
  if (data?.claimable === "0") return html`<p class="notice">Nothing is open: everything that is final was taken.</p>`;
  const origin = typeof location === "undefined" ? "" : location.origin;
  return html`<p>Take everything that is open. Anybody may; the tokens go to the owner.</p>
    ${command(`depin claim ${plain(address)} --node ${origin}`, "Command that claims")}`;
}

/** @param {Claim} row */
function state(row) {
  if (row.claimed) return badge("claimed");
  if (row.status === "final") return badge("claimable");
  if (row.status === "proposed") return html`${badge("proposed")} <span class="quiet">its challenge window runs</span>`;
  if (row.status === "challenged") return html`${badge("challenged")} <span class="quiet">its root is in dispute</span>`;
  if (row.status === "voided") return html`${badge("voided")} <span class="quiet">a root has to be proposed again</span>`;
  return html`${badge("closed")} <span class="quiet">no root on the chain yet</span>`;
}

/** @param {string} address */
function devices(address) {
  const { from, csv } = listed("/devices", { owner: address }, "devices");
  const answer = /** @type {any} */ (read(from, [`owner:${address}`, "epochs", "events"]));
  return table({
    id: "owned", caption: "Devices of this owner", answer, cursor: "devices", csv, key: (/** @type {any} */ row) => row.did, nothing: "No device.",
    columns: [
      { head: "Device", kind: "main", cell: (row) => named("nodes", row.did) },
      { head: "Status", cell: (row) => badge(row.status) },
      { head: "Last verdict", cell: (row) => badge(row.last_outcome) },
      { head: "Earned", kind: "num", cell: (row) => tokens(row.earned) },
      { head: "Last report", cell: (row) => when(row.last_report) },
      finality("owned", (row) => row.did.slice(8), answer.data?.at),
    ],
  });
}
