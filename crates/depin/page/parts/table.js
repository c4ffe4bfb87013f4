// A list: its rows, its pages, its CSV. On a narrow screen each row becomes a card, which is why every cell knows its heading.
import { url } from "../api.js";
import { html } from "../lib.js";
import { here, route } from "../router.js";
import { asOf, mark } from "./mark.js";
import { empty, shown } from "./state.js";

/**
 * @template R
 * @typedef {{head: string, cell: (row: R) => unknown, kind?: "num" | "wide" | "main"}} Column
 */
/**
 * A page of a list as the API gives it.
 * @template R
 * @typedef {{items: R[], next: string | null, at?: import("../api.js").At}} Page
 */

/** Rows on a page. */
export const LIMIT = 25;

/**
 * @template R
 * @param {{
 *   id: string, caption: string, answer: import("../api.js").Answer<Page<R>>, columns: Column<R>[], key: (row: R) => string | number,
 *   nothing: unknown, next?: unknown, cursor?: string | null, csv?: string | null, compact?: boolean, pick?: (row: R) => boolean,
 * }} of `cursor` names the parameter that pages it; null: no pages
 */
export function table(of) {
  return shown(of.answer, (page) => {
    const cursor = of.cursor === undefined ? "cursor" : of.cursor;
    const paged = cursor !== null && route.value.params.has(cursor);
    if (page.items.length === 0) {
      const first = paged ? html`<a href=${here({ [cursor ?? ""]: null })}>Back to the first page</a>` : of.next;
      return empty(of.nothing, first);
    }
    return html`<div class="list">
      ${grid(of, page)}
      <div class="foot">
        ${of.compact ? null : asOf(`${of.id}-list`, page.at)}
        ${cursor === null ? null : pager(of.caption, cursor, paged, page.next)}
        ${of.csv ? html`<a class="csv" href=${of.csv} download=${`${of.id}.csv`} aria-label=${`${of.caption}, all rows as CSV`}>CSV</a>` : null}
      </div>
    </div>`;
  });
}

/**
 * @template R
 * @param {{id: string, caption: string, columns: Column<R>[], key: (row: R) => string | number, pick?: (row: R) => boolean}} of
 * @param {Page<R>} page
 */
function grid({ id, caption, columns, key, pick }, page) {
  return html`<table role="table" class="grid" id=${id}>
    <caption>${caption}</caption>
    <thead role="rowgroup"><tr role="row">${columns.map(
      ({ head, kind }) => html`<th role="columnheader" scope="col" class=${kind ?? ""}>${head}</th>`,
    )}</tr></thead>
    <tbody role="rowgroup">${page.items.map(
      (row) => html`<tr role="row" key=${key(row)} class=${pick?.(row) ? "picked" : ""}>${columns.map(({ head, cell, kind }) =>
        kind === "main"
          ? html`<th role="rowheader" scope="row" class="main" data-head=${head}>${cell(row)}</th>`
          : html`<td role="cell" class=${kind ?? ""} data-head=${head}><div>${cell(row)}</div></td>`,
      )}</tr>`,
    )}</tbody>
  </table>`;
}

/**
 * The column that says whether a row still changes.
 * @param {string} id
 * @param {(row: any) => string | number} key
 * @param {import("../api.js").At | undefined} at
 * @returns {Column<any>}
 */
export function finality(id, key, at) {
  return { head: "Finality", cell: (row) => mark(`${id}-${key(row)}`, row.final, at) };
}

/**
 * @param {string} caption
 * @param {string} cursor
 * @param {boolean} paged
 * @param {string | null} next
 */
function pager(caption, cursor, paged, next) {
  if (!paged && !next) return null;
  return html`<nav class="pager" aria-label=${`Pages: ${caption}`}>
    ${paged ? html`<a href=${here({ [cursor]: null })}>First page</a>` : null}
    ${next ? html`<a rel="next" href=${here({ [cursor]: next })}>Next page</a>` : html`<span class="quiet">Last page</span>`}
  </nav>`;
}

/**
 * Where a list is read and where its CSV is.
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} [filters]
 * @param {string} [cursor] the parameter of the page that holds the cursor
 * @param {number} [limit] rows on a page
 */
export function listed(path, filters = {}, cursor = "cursor", limit = LIMIT) {
  const from = route.value.params.get(cursor);
  return {
    from: url(path, { ...filters, limit, cursor: from }),
    // Without a limit, which gives every row there is.
    csv: url(path, { ...filters, format: "csv" }),
  };
}
