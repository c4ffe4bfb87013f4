// Whether what the page shows can be trusted to be current: the index against the chain, and what the chain undid.
import { read } from "../api.js";
import { plain, span } from "../format.js";
import { html } from "../lib.js";
import { badge } from "../parts/badge.js";
import { asOf, settled } from "../parts/mark.js";
import { shown } from "../parts/state.js";
import { listed, table } from "../parts/table.js";
import { date, hash, number } from "../parts/value.js";

export function health() {
  const answer = /** @type {import("../api.js").Answer<import("../parts/shell.js").Health>} */ (read("/api/v1/health", ["health"]));
  return html`<div class="head"><h1 tabindex="-1">Index health</h1>${answer.data?.at ? asOf("health", answer.data.at, settled(answer.data.at)) : null}</div>
    <p class="lead">The index reads the chain and the node's journal. It can be deleted and built again; nothing is lost with it.</p>
    ${shown(answer, (data) => state(data))}
    <section aria-labelledby="h-reorgs"><h2 id="h-reorgs">Reorganisations</h2>
      <p class="lead">When the chain takes blocks back, the index takes back what they said, and reads the new ones.</p>${reorgs()}</section>`;
}

/** @param {import("../parts/shell.js").Health} data */
function state(data) {
  return html`${data.reason ? html`<div class="notice warn" role="alert"><p><strong>${plain(data.reason)}</strong></p>${data.next ? html`<p>Next: ${plain(data.next)}</p>` : null}</div>` : null}
    <dl class="facts">
      <div><dt>State</dt><dd>${badge(data.status)}</dd></div>
      <div><dt>Head of the chain</dt><dd>${block(data.head)}</dd></div>
      <div><dt>Indexed up to</dt><dd>${block(data.indexed)}</dd></div>
      <div><dt>Final up to</dt><dd>${block(data.final)}</dd></div>
      <div><dt>Behind</dt><dd>${data.behind_ms === null ? "–" : data.behind_ms <= 0 ? "not at all" : span(data.behind_ms)}</dd></div>
      <div><dt>Blocks that can be undone</dt><dd>${number(data.window)}</dd></div>
      <div><dt>Reorganisations so far</dt><dd>${number(data.reorgs)}</dd></div>
    </dl>`;
}

/** @param {number | null} number_ */
function block(number_) {
  return number_ === null ? html`<span class="quiet">none yet</span>` : html`<span class="quiet">block</span> ${number(number_)}`;
}

function reorgs() {
  const { from, csv } = listed("/reorgs");
  return table({
    id: "reorgs", caption: "Reorganisations, newest first", answer: /** @type {any} */ (read(from, ["health"])), csv, key: (/** @type {any} */ row) => row.id,
    nothing: "The chain took nothing back since this index was built.",
    columns: [
      { head: "Seen", kind: "main", cell: (row) => date(row.seen) },
      { head: "Depth", kind: "num", cell: (row) => number(row.depth) },
      { head: "Events undone", kind: "num", cell: (row) => number(row.events) },
      { head: "Head before", cell: (row) => html`${number(row.old?.number)} ${hash(row.old?.hash)}` },
      { head: "Common block", cell: (row) => html`${number(row.common?.number)} ${hash(row.common?.hash)}` },
    ],
  });
}
