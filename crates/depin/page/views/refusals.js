// Refused reports, as several views list them.
import { html } from "../lib.js";
import { words } from "../format.js";
import { epoch, named, number } from "../parts/value.js";

/** @typedef {{epoch: number, device: string | null, reason: string, count: number}} Refusal */

/** @returns {import("../parts/table.js").Column<Refusal>[]} */
export function columns() {
  return [
    { head: "Reason", kind: "main", cell: (row) => words(row.reason) },
    { head: "Times", kind: "num", cell: (row) => number(row.count) },
    { head: "Device", cell: (row) => (row.device ? named("nodes", row.device) : html`<span class="quiet">not a registered key</span>`) },
    { head: "Epoch", kind: "num", cell: (row) => epoch(row.epoch) },
  ];
}
