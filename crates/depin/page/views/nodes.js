// All devices: searched, filtered, in pages.
import { read } from "../api.js";
import { html } from "../lib.js";
import { go, here, href, route } from "../router.js";
import { badge } from "../parts/badge.js";
import { finality, listed, table } from "../parts/table.js";
import { epoch, named, number, tokens, when } from "../parts/value.js";

/** @typedef {{did: string, on_chain: string, status: string, owner: string | null, registered_at: number | null, registered_time?: number | null, earned: string, earned_final?: string, last_epoch: number | null, last_outcome: string | null, reports: number, last_report: number | null, refused?: number, final?: boolean}} Device */

const FILTERS = /** @type {const} */ (["prefix", "status", "outcome", "owner"]);

export function nodes() {
  const { params } = route.value;
  const filters = Object.fromEntries(FILTERS.map((name) => [name, params.get(name)]));
  const { from, csv } = listed("/devices", filters);
  const answer = /** @type {any} */ (read(from, ["epochs", "events"]));
  const filtered = FILTERS.some((name) => params.has(name));
  return html`
    <div class="head"><h1 tabindex="-1">Nodes</h1></div>
    <p class="lead">Every device that was registered, or that reported. Open one to see what it did, what it earned, and why something was refused.</p>
    ${form(filtered)}
    ${table({
      id: "devices", caption: filtered ? "Devices that match" : "All devices", answer, columns: columns(answer.data?.at), key: (row) => row.did, csv,
      nothing: filtered ? "No device matches." : "No device was registered yet.",
      next: filtered ? html`<a href=${href("nodes")}>Show all devices</a>` : html`<code>depin device register</code> makes the first one.`,
    })}`;
}

/**
 * @param {import("../api.js").At | undefined} at
 * @returns {import("../parts/table.js").Column<Device>[]}
 */
function columns(at) {
  return [
    { head: "Device", kind: "main", cell: (row) => named("nodes", row.did) },
    { head: "Status", cell: (row) => badge(row.status) },
    { head: "Last verdict", cell: (row) => (row.last_outcome ? html`${badge(row.last_outcome)} ${row.last_epoch === null ? null : html`<span class="quiet">epoch ${epoch(row.last_epoch)}</span>`}` : html`<span class="quiet">not judged yet</span>`) },
    { head: "Earned", kind: "num", cell: (row) => tokens(row.earned) },
    { head: "Of that final", kind: "num", cell: (row) => (row.earned_final === undefined ? "–" : tokens(row.earned_final)) },
    { head: "Reports", kind: "num", cell: (row) => number(row.reports) },
    { head: "Refused", kind: "num", cell: (row) => (row.refused === undefined ? "–" : number(row.refused)) },
    { head: "Last report", cell: (row) => when(row.last_report) },
    { head: "Owner", cell: (row) => named("owners", row.owner) },
    finality("device", (row) => row.did.slice(8), at),
  ];
}

/** @param {boolean} filtered */
function form(filtered) {
  const { params } = route.value;
  /** @param {Event} event */
  const apply = (event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const wanted = Object.fromEntries(FILTERS.map((name) => [name, String(new FormData(form).get(name) ?? "").trim() || null]));
    go(here({ ...wanted, cursor: null }), { focus: false });
  };
  return html`<form class="filters" role="search" aria-label="Devices" onSubmit=${apply} onChange=${apply}>
    <label class="grow">Device <input type="search" name="prefix" defaultValue=${params.get("prefix") ?? ""} placeholder="did:key:z6Mk… or its beginning" autocomplete="off" spellcheck=${false} maxlength="128" /></label>
    <label>Status ${select("status", ["active", "bound", "suspended", "unregistered", "deactivated"])}</label>
    <label>Last verdict ${select("outcome", ["accept", "reject", "inconclusive"])}</label>
    <label class="grow">Owner <input type="search" name="owner" defaultValue=${params.get("owner") ?? ""} placeholder="0x…" autocomplete="off" spellcheck=${false} maxlength="42" /></label>
    <button type="submit">Search</button>
    ${filtered ? html`<a class="clear" href=${href("nodes")} onClick=${reset}>Clear</a>` : null}
  </form>`;
}

/** @param {Event} event */
function reset(event) {
  const form = event.currentTarget instanceof Element ? event.currentTarget.closest("form") : null;
  for (const input of form?.querySelectorAll("input") ?? []) input.value = "";
}

/**
 * @param {string} name
 * @param {string[]} words
 */
function select(name, words) {
  const now = route.value.params.get(name) ?? "";
  return html`<select name=${name}><option value="" selected=${now === ""}>any</option>${words.map(
    (word) => html`<option value=${word} selected=${word === now}>${word}</option>`,
  )}</select>`;
}
