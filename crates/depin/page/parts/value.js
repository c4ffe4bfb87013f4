// Numbers and names as they stand on the page. The exact value is always in the markup: `value` of <data>, `title` of what is cut.
import { age, amount, count, exact, moment, plain, quantity, short, units as inUnits } from "../format.js";
import { html } from "../lib.js";
import { decimals, now } from "../api.js";
import { href } from "../router.js";

/**
 * Base units as tokens.
 * @param {unknown} value
 */
export function tokens(value) {
  const known = decimals();
  return html`<data class="num" value=${plain(value)} title=${known === undefined ? "" : exact(value, known)}>${inTokens(value)}</data>`;
}

/**
 * The same as text.
 * @param {unknown} value
 */
export function inTokens(value) {
  const known = decimals();
  return known === undefined ? "…" : amount(value, known);
}

/**
 * A count.
 * @param {unknown} value
 */
export function number(value) {
  return html`<data class="num" value=${plain(value)}>${count(value)}</data>`;
}

/**
 * Units; the kind in small.
 * @param {unknown} value `{kind, quantity}` or a quantity
 * @param {boolean} [kind] whether to name it
 */
export function units(value, kind = true) {
  const bare = plain(quantity(value));
  const text = kind ? inUnits(value) : count(quantity(value));
  return html`<data class="num" value=${bare}>${text}</data>`;
}

/**
 * A point in time as its age.
 * @param {number | null | undefined} ms
 */
export function when(ms) {
  if (typeof ms !== "number") return html`<span class="quiet">never</span>`;
  return html`<time dateTime=${iso(ms)} title=${moment(ms)}>${age(ms, now())}</time>`;
}

/**
 * A point in time as a date.
 * @param {number | null | undefined} ms
 */
export function date(ms) {
  if (typeof ms !== "number") return html`<span class="quiet">–</span>`;
  return html`<time dateTime=${iso(ms)}>${moment(ms)}</time>`;
}

/**
 * A span of time by its ends; the day once if it is the same.
 * @param {number | null} first
 * @param {number | null} last
 */
export function between(first, last) {
  if (first === null || last === null) return html`<span class="quiet">–</span>`;
  const [from, to] = [moment(first), moment(last)];
  const day = from.slice(0, 11);
  const end = to.startsWith(day) ? to.slice(11) : to;
  return html`<span><time dateTime=${iso(first)}>${from.replace(" UTC", "")}</time> – <time dateTime=${iso(last)}>${end}</time></span>`;
}

/** @param {number} ms */
function iso(ms) {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : "";
}

/**
 * A device, owner or customer by the ends of its name, leading to its view.
 * @param {"nodes" | "owners" | "customers"} view
 * @param {string | null | undefined} name
 */
export function named(view, name) {
  if (!name) return html`<span class="quiet">none</span>`;
  return html`<a class="mono" href=${href(view, name)} title=${plain(name)}>${short(plain(name))}</a>`;
}

/**
 * A hash by its ends.
 * @param {string | null | undefined} value
 */
export function hash(value) {
  if (!value) return html`<span class="quiet">none</span>`;
  return html`<span class="mono" title=${plain(value)}>${short(plain(value))}</span>`;
}

/**
 * An epoch, leading to its view.
 * @param {number} epoch
 */
export function epoch(epoch) {
  return html`<a class="num" href=${href("epochs", String(epoch))} aria-label=${`Epoch ${count(epoch)}`}>${count(epoch)}</a>`;
}
