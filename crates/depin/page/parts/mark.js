// How far a number can be relied on. In words, not by colour alone; block and age open on focus as well as under a pointer.
import { age, count, moment } from "../format.js";
import { html } from "../lib.js";
import { now } from "../api.js";

/** @typedef {import("../api.js").At} At */

/**
 * The mark beside a number or a row.
 * @param {string} id names it on this view
 * @param {boolean | null | undefined} final
 * @param {At | null | undefined} at
 */
export function mark(id, final, at) {
  const known = typeof final === "boolean" ? final : typeof at?.final === "boolean" ? at.final : null;
  const word = known === null ? "unmarked" : known ? "final" : "provisional";
  const tip = `tip-${id}`;
  return html`<span class="marked"><button type="button" class=${`mark ${word}`} aria-describedby=${tip}>${word}</button><span
      class="tip" role="tooltip" id=${tip}>${reason(known)} ${read(at)}</span></span>`;
}

/**
 * Whether the block itself that was read at is final, whatever was read there.
 * @param {At} at
 */
export function settled(at) {
  return at.final || (at.block !== null && at.final_block !== null && at.block <= at.final_block);
}

/** @param {boolean | null} final */
function reason(final) {
  if (final === null) return "The node does not say how final this is.";
  return final
    ? "The same at the last final block: it does not change any more."
    : "Can still change: its blocks or its epoch's root are not final yet.";
}

/** @param {At | null | undefined} at */
function read(at) {
  if (!at) return "";
  const block = at.block === null ? "Read before any block was indexed" : `Read at block ${count(at.block)}`;
  const hash = at.hash ? ` (${at.hash.slice(0, 10)}…)` : "";
  const old = at.time === null ? "" : `, ${moment(at.time)}, ${age(at.time, now())}`;
  const last = at.final_block === null ? "; no block is final yet." : `; final up to block ${count(at.final_block)}.`;
  return `${block}${hash}${old}${last}`;
}

/**
 * One line on what a whole answer was read at.
 * @param {string} id
 * @param {At | null | undefined} at
 * @param {boolean} [final] where the answer is about the block and nothing else
 */
export function asOf(id, at, final = at?.final) {
  if (!at) return html`<p class="asof">${mark(id, null, null)}</p>`;
  return html`<p class="asof">
    <span>${at.block === null ? "No block indexed yet" : `As of block ${count(at.block)}`}</span>
    ${at.time === null ? null : html`<span>${age(at.time, now())}</span>`}
    ${mark(id, final, at)}
  </p>`;
}
