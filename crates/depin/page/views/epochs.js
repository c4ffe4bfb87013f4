// Epochs: what each paid, how far its root has come, and everything needed to check it.
import { read, url } from "../api.js";
import { plain } from "../format.js";
import { html } from "../lib.js";
import { recompute } from "../router.js";
import { badge } from "../parts/badge.js";
import { command, copyable } from "../parts/copy.js";
import { asOf, mark } from "../parts/mark.js";
import { absent, shown } from "../parts/state.js";
import { finality, listed, table } from "../parts/table.js";
import { date, epoch as epochLink, hash, named, number, tokens, units } from "../parts/value.js";
import { audit } from "./node-epoch.js";
import { standing } from "./root.js";

/** @typedef {{epoch: number, bundle: string, root: string, status: string, root_on_chain: string | null, bundle_on_chain: string | null, pool: string, paid: string, dust: string, burned: string, minted: string, revenue?: string, units: unknown, opened: number, closed: number, verdicts: {accept: number, reject: number, inconclusive: number}, proposed_block?: number | null, deadline?: number | null, challenges?: number, contested_at?: number | null, voids?: number, final?: boolean}} Epoch */

/**
 * @param {import("../api.js").At | undefined} at
 * @returns {import("../parts/table.js").Column<Epoch>[]}
 */
export function columns(at) {
  return [
    { head: "Epoch", kind: "main", cell: (row) => epochLink(row.epoch) },
    { head: "Root", cell: (row) => badge(row.status) },
    { head: "Paid", kind: "num", cell: (row) => tokens(row.paid) },
    { head: "Burned", kind: "num", cell: (row) => tokens(row.burned) },
    { head: "Minted", kind: "num", cell: (row) => tokens(row.minted) },
    { head: "Work accepted", kind: "num", cell: (row) => units(row.units) },
    { head: "Verdicts", cell: (row) => verdicts(row.verdicts) },
    { head: "Closed", cell: (row) => date(row.closed) },
    finality("epoch", (row) => row.epoch, at),
  ];
}

/** @param {Epoch["verdicts"]} counts */
function verdicts({ accept, reject, inconclusive }) {
  return html`<span class="counts"><span title="accepted"><i class="good" aria-hidden="true">✓</i><span class="hidden">accepted </span>${number(accept)}</span>
    <span title="rejected"><i class="bad" aria-hidden="true">✕</i><span class="hidden">rejected </span>${number(reject)}</span>
    <span title="inconclusive"><i class="warn" aria-hidden="true">?</i><span class="hidden">inconclusive </span>${number(inconclusive)}</span></span>`;
}

export function epochs() {
  const { from, csv } = listed("/epochs");
  const answer = /** @type {any} */ (read(from, ["epochs", "events"]));
  return html`<div class="head"><h1 tabindex="-1">Epochs</h1></div>
    <p class="lead">An epoch closes into a bundle. Its root goes on chain, can be challenged for a time, and is then final: it can be claimed from.</p>
    ${table({ id: "epochs", caption: "Closed epochs", answer, columns: columns(answer.data?.at), key: (row) => row.epoch, csv, nothing: "No epoch is closed yet.", next: "The first closes at the end of the time shown above." })}
    <section aria-labelledby="h-roots"><h2 id="h-roots">Roots on the chain</h2>${roots()}</section>`;
}

function roots() {
  const { from, csv } = listed("/roots", {}, "roots", 10);
  const answer = /** @type {any} */ (read(from, ["epochs", "events"]));
  return table({
    id: "roots", caption: "What happened to roots", answer, csv, cursor: "roots", key: (/** @type {any} */ row) => `${row.block}-${row.log_index}`, nothing: "No root was proposed yet.",
    columns: [
      { head: "Block", kind: "main", cell: (row) => number(row.block) },
      { head: "Time", cell: (row) => date(row.time) },
      { head: "Epoch", kind: "num", cell: (row) => epochLink(row.epoch) },
      { head: "What", cell: (row) => badge(row.what) },
      { head: "Root", cell: (row) => (row.root ? hash(row.root) : "–") },
      { head: "Bundle", cell: (row) => (row.bundle ? hash(row.bundle) : "–") },
      { head: "Candidate", cell: (row) => (row.candidate ? hash(row.candidate) : "–") },
      { head: "By", cell: (row) => (row.by ? hash(row.by) : "–") },
      finality("root", (row) => `${row.block}-${row.log_index}`, answer.data?.at),
    ],
  });
}

/** @param {string} id */
export function epoch(id) {
  const answer = /** @type {any} */ (read(url(`/epochs/${encodeURIComponent(id)}`), ["epochs", "events"]));
  if (answer.error && !answer.data) return absent("Epoch", id, answer.error, "epochs");
  return html`<div class="head"><h1 tabindex="-1">Epoch <span class="num">${plain(id)}</span></h1>${answer.data ? asOf("epoch", answer.data.at) : null}</div>
    ${shown(answer, (row) => one(row))}
    <section aria-labelledby="h-devices"><h2 id="h-devices">Devices</h2>${devices(id)}</section>`;
}

/** @param {Epoch & {at: any}} row */
function one(row) {
  return html`${agreement(row)}
    <dl class="facts">
      <div><dt>Paid</dt><dd>${tokens(row.paid)} ${mark("e-paid", row.final, row.at)}</dd></div>
      <div><dt>There was to pay</dt><dd>${tokens(row.pool)}</dd></div>
      <div><dt>Left by rounding</dt><dd>${number(row.dust)} <span class="quiet">base units</span></dd></div>
      <div><dt>Burned</dt><dd>${tokens(row.burned)}</dd></div>
      <div><dt>Minted</dt><dd>${tokens(row.minted)}</dd></div>
      <div><dt>Revenue</dt><dd>${row.revenue === undefined ? "–" : tokens(row.revenue)}</dd></div>
      <div><dt>Work accepted</dt><dd>${units(row.units)}</dd></div>
      <div><dt>Verdicts</dt><dd>${verdicts(row.verdicts)}</dd></div>
      <div><dt>From</dt><dd>${date(row.opened)}</dd></div>
      <div><dt>To</dt><dd>${date(row.closed)}</dd></div>
    </dl>
    <section class="panel" aria-labelledby="h-root"><h2 id="h-root">Root ${badge(row.status)} ${mark("e-root", row.final, row.at)}</h2>
      ${standing(row)}
      <dl class="hashes">
        ${line("Root", row.root)}${line("Root on the chain", row.root_on_chain)}${line("Bundle", row.bundle)}${line("Bundle on the chain", row.bundle_on_chain)}
      </dl>
      <h3>Check it yourself</h3>
      <p><a href=${recompute({ epoch: row.epoch })}>Recompute it in this browser</a>, <a href=${`/api/v1/bundles/${row.epoch}`} download=${`${row.epoch}.bundle`}>download the bundle</a>, or:</p>
      ${command(audit(row.epoch), "Command that audits this epoch")}
    </section>`;
}

/** @param {Epoch} row */
function agreement(row) {
  const differs = (row.root_on_chain !== null && row.root_on_chain !== row.root) || (row.bundle_on_chain !== null && row.bundle_on_chain !== row.bundle);
  if (!differs) return null;
  return html`<div class="notice bad" role="alert"><p><strong>The chain says something else.</strong> The root or digest on the chain is not what this node computed.</p>
    <p>Next: audit the bundle below; if it holds, the root on the chain is false and should be challenged before its window ends.</p></div>`;
}

/**
 * @param {string} name
 * @param {string | null} value
 */
function line(name, value) {
  return html`<div><dt>${name}</dt><dd>${value ? html`<span class="mono break">${plain(value)}</span> ${copyable(value, name)}` : html`<span class="quiet">not there yet</span>`}</dd></div>`;
}

/** @param {string} id */
function devices(id) {
  const { from, csv } = listed(`/epochs/${encodeURIComponent(id)}/devices`);
  return table({
    id: "judged", caption: "How it went for each device", answer: /** @type {any} */ (read(from, ["epochs"])), csv, key: (/** @type {any} */ row) => row.did, nothing: "No device was judged in this epoch.",
    columns: [
      { head: "Device", kind: "main", cell: (row) => named("nodes", row.did) },
      { head: "Verdict", cell: (row) => badge(row.outcome) },
      { head: "Work accepted", kind: "num", cell: (row) => units(row.units) },
      { head: "Earned", kind: "num", cell: (row) => tokens(row.earned) },
      { head: "Owner", cell: (row) => named("owners", row.owner) },
    ],
  });
}
