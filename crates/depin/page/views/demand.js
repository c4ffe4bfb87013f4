// Demand, and whether it carries what is minted.
import { read } from "../api.js";
import { percent } from "../format.js";
import { html } from "../lib.js";
import { bars } from "../parts/chart.js";
import { shown } from "../parts/state.js";
import { finality, listed, table } from "../parts/table.js";
import { epoch, inTokens, tokens, units } from "../parts/value.js";

/** @typedef {{epoch: number, spent: string, burned: string, minted: string, revenue: string, units: unknown, final?: boolean}} Demand */

export function demand() {
  const { from, csv } = listed("/demand");
  const answer = /** @type {any} */ (read(from, ["epochs", "overview"]));
  return html`<div class="head"><h1 tabindex="-1">Demand</h1></div>
    <p class="lead">Customers' payments are burned in part; new tokens are minted for the work they paid for. While less is minted than burned, the network lives on use, and nobody gains by paying themselves.</p>
    <section aria-labelledby="h-chart"><h2 id="h-chart">Burned against minted</h2>${shown(answer, (data) => bars({
      id: "balance", title: "Per epoch, in tokens", rows: data.items, head: "Epoch", label: (row) => `epoch ${row.epoch}`,
      series: [
        { name: "burned", tone: "two", value: (row) => row.burned, show: inTokens, cell: tokens },
        { name: "minted", tone: "one", value: (row) => row.minted, show: inTokens, cell: tokens },
      ],
    }))}</section>
    <section aria-labelledby="h-demand"><h2 id="h-demand">Epoch by epoch</h2>${table({
      id: "demand", caption: "Demand by epoch", answer, csv, key: (/** @type {Demand} */ row) => row.epoch, nothing: "No epoch is closed yet.",
      columns: [
        { head: "Epoch", kind: "main", cell: (row) => epoch(row.epoch) },
        { head: "Spent", kind: "num", cell: (row) => tokens(row.spent) },
        { head: "Burned", kind: "num", cell: (row) => tokens(row.burned) },
        { head: "Minted", kind: "num", cell: (row) => tokens(row.minted) },
        { head: "Minted of burned", kind: "num", cell: (row) => percent(row.minted, row.burned) },
        { head: "Revenue", kind: "num", cell: (row) => tokens(row.revenue) },
        { head: "Work", kind: "num", cell: (row) => units(row.units) },
        finality("demand", (row) => row.epoch, answer.data?.at),
      ],
    })}</section>`;
}
