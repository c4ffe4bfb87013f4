// Bars over time. The picture says how it goes; the table below it says the same in numbers, for those who cannot see it or want to be exact.
import { big, mille, moment } from "../format.js";
import { html } from "../lib.js";

/** @typedef {{name: string, tone: "one" | "two", value: (row: any) => unknown, show: (value: unknown) => string, cell: (value: unknown) => unknown}} Series */

const HEIGHT = 120;
/** Room for one period; bars of several series stand side by side in it. */
const STEP = 12;

/**
 * @param {{id: string, title: string, rows: any[], label: (row: any) => string, head: string, series: Series[]}} of newest row first
 */
export function bars({ id, title, rows, label, head, series }) {
  const drawn = [...rows].reverse();
  const top = drawn.flatMap((row) => series.map((one) => big(one.value(row)) ?? 0n)).reduce((a, b) => (a > b ? a : b), 0n);
  const width = Math.max(drawn.length, 12) * STEP;
  const first = drawn[0];
  const last = drawn[drawn.length - 1];
  const most = series[0]?.show(top) ?? "";
  const summary = first ? `${title}: ${span(drawn, label)}. The highest is ${most}. The same as a table follows.` : title;
  return html`<figure class="chart" id=${id}>
    <figcaption><span>${title}</span>${series.length > 1 ? legend(series) : null}</figcaption>
    <div class="plot">
      <span class="most num">${most}</span>
      <svg viewBox=${`0 0 ${width} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${summary}>
        <line class="rule" x1="0" x2=${width} y1="0.5" y2="0.5" /><line class="rule" x1="0" x2=${width} y1=${HEIGHT / 2} y2=${HEIGHT / 2} />
        ${drawn.map((row, at) => series.map((one, of) => bar(row, one, of, at + Math.max(0, 12 - drawn.length), series.length, top, label)))}
        <line class="base" x1="0" x2=${width} y1=${HEIGHT - 0.5} y2=${HEIGHT - 0.5} />
      </svg>
      <span class="ends"><span>${first && first !== last ? label(first) : ""}</span><span>${last ? label(last) : ""}</span></span>
    </div>
    <details><summary>As a table</summary>${twin(title, rows, label, head, series)}</details>
  </figure>`;
}

/**
 * @param {any[]} drawn
 * @param {(row: any) => string} label
 */
function span(drawn, label) {
  const [first, last] = [label(drawn[0]), label(drawn[drawn.length - 1])];
  return drawn.length === 1 ? `only ${first}` : `${drawn.length} bars from ${first} to ${last}`;
}

/**
 * @param {any} row
 * @param {Series} one
 * @param {number} of which series
 * @param {number} at which period
 * @param {number} all how many series
 * @param {bigint} top
 * @param {(row: any) => string} label
 */
function bar(row, one, of, at, all, top, label) {
  const value = one.value(row);
  const tall = Math.max((mille(value, top) * (HEIGHT - 4)) / 1000, (big(value) ?? 0n) > 0n ? 1.5 : 0);
  const wide = (STEP - 3) / all;
  const open = row.final === false ? " open" : "";
  return html`<rect class=${`bar ${one.tone}${open}`} x=${at * STEP + 1.5 + of * wide} y=${HEIGHT - tall} width=${wide - (all > 1 ? 0.8 : 0)}
    height=${tall}><title>${`${label(row)}: ${one.name} ${one.show(value)}${open ? ", provisional" : ""}`}</title></rect>`;
}

/** @param {Series[]} series */
function legend(series) {
  return html`<span class="legend">${series.map((one) => html`<span><i class=${one.tone}></i>${one.name}</span>`)}</span>`;
}

/**
 * @param {string} title
 * @param {any[]} rows
 * @param {(row: any) => string} label
 * @param {string} head
 * @param {Series[]} series
 */
function twin(title, rows, label, head, series) {
  return html`<table class="twin">
    <caption class="hidden">${title}</caption>
    <thead><tr><th scope="col">${head}</th>${series.map((one) => html`<th scope="col" class="num">${one.name}</th>`)}<th scope="col">State</th></tr></thead>
    <tbody>${rows.map((row) => html`<tr><th scope="row">${label(row)}</th>${series.map(
      (one) => html`<td class="num">${one.cell(one.value(row))}</td>`,
    )}<td>${row.final === undefined ? "–" : row.final ? "final" : "provisional"}</td></tr>`)}</tbody>
  </table>`;
}

/**
 * A roll-up's start by its period.
 * @param {number} start
 * @param {string} period
 */
export function periodLabel(start, period) {
  const text = moment(start);
  return period === "day" ? text.slice(0, 10) : `${text.slice(5, 16)}`;
}
