// Who pays for the work: what they bought, what was burned of it, what their deals cost.
import { read, url } from "../api.js";
import { plain } from "../format.js";
import { html } from "../lib.js";
import { copyable } from "../parts/copy.js";
import { asOf, mark } from "../parts/mark.js";
import { absent, shown } from "../parts/state.js";
import { finality, listed, table } from "../parts/table.js";
import { epoch, named, number, tokens } from "../parts/value.js";

/** @typedef {{address: string, paid: string, burned: string, spent: string, spent_burned: string, deals_devices?: number, final?: boolean}} Customer */

export function customers() {
  const { from, csv } = listed("/customers");
  const answer = /** @type {any} */ (read(from, ["epochs", "events"]));
  return html`<div class="head"><h1 tabindex="-1">Customers</h1></div>
    <p class="lead">Work earns only under a deal that a customer signed and paid for. A part of each payment is burned; that part is what emission rests on.</p>
    ${table({
      id: "customers", caption: "Customers", answer, key: (/** @type {Customer} */ row) => row.address, csv, nothing: "Nobody paid for work yet.", next: "Until somebody does, devices earn nothing.",
      columns: [
        { head: "Customer", kind: "main", cell: (row) => named("customers", row.address) },
        { head: "Bought", kind: "num", cell: (row) => tokens(row.paid) },
        { head: "Of that burned", kind: "num", cell: (row) => tokens(row.burned) },
        { head: "Spent on work", kind: "num", cell: (row) => tokens(row.spent) },
        { head: "Burned for work", kind: "num", cell: (row) => tokens(row.spent_burned) },
        finality("customer", (row) => row.address, answer.data?.at),
      ],
    })}`;
}

/** @param {string} address */
export function customer(address) {
  const path = `/customers/${encodeURIComponent(address)}`;
  const answer = /** @type {any} */ (read(url(path), ["epochs", "events"]));
  if (answer.error && !answer.data) return absent("Customer", address, answer.error, "customers");
  const { from, csv } = listed(`${path}/epochs`);
  const spent = /** @type {any} */ (read(from, ["epochs"]));
  return html`<div class="head"><h1 tabindex="-1">Customer</h1>${answer.data ? asOf("customer", answer.data.at) : null}</div>
    <p class="subject"><span class="mono break">${plain(address)}</span> ${copyable(address, "the customer's address")}</p>
    ${shown(answer, (/** @type {Customer & {at: any}} */ row) => html`<dl class="facts">
      <div><dt>Bought</dt><dd>${tokens(row.paid)} ${mark("c-paid", row.final, row.at)}</dd></div>
      <div><dt>Of that burned</dt><dd>${tokens(row.burned)} ${mark("c-burned", row.final, row.at)}</dd></div>
      <div><dt>Spent on work</dt><dd>${tokens(row.spent)} ${mark("c-spent", row.final, row.at)}</dd></div>
      <div><dt>Burned for work</dt><dd>${tokens(row.spent_burned)} ${mark("c-spent-burned", row.final, row.at)}</dd></div>
      ${row.deals_devices === undefined ? null : html`<div><dt>Devices under its deals</dt><dd>${number(row.deals_devices)}</dd></div>`}
    </dl>`)}
    <section aria-labelledby="h-spent"><h2 id="h-spent">Epoch by epoch</h2>${table({
      id: "spent", caption: "What its deals cost", answer: spent, csv, key: (/** @type {any} */ row) => row.epoch, nothing: "None of its deals cost anything yet.",
      columns: [
        { head: "Epoch", kind: "main", cell: (row) => epoch(row.epoch) },
        { head: "Spent", kind: "num", cell: (row) => tokens(row.spent) },
        { head: "Burned", kind: "num", cell: (row) => tokens(row.burned) },
        finality("spent", (row) => row.epoch, spent.data?.at),
      ],
    })}</section>`;
}
