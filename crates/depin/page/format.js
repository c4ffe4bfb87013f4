// Numbers, times and names as people read them. Values in, text out: no clock, no document. Amounts are BigInt; nothing here rounds up.

/** Digits of a U256: what is longer is no number of ours. */
const MAX_DIGITS = 78;

/**
 * A decimal string of the API, or null if it is none.
 * @param {unknown} text
 * @returns {bigint | null}
 */
export function big(text) {
  if (typeof text === "bigint") return text;
  if (typeof text === "number") return Number.isSafeInteger(text) ? BigInt(text) : null;
  if (typeof text !== "string" || text.length > MAX_DIGITS || !/^\d+$/.test(text)) return null;
  return BigInt(text);
}

/**
 * Digits in groups of three.
 * @param {bigint} value
 */
export function grouped(value) {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/**
 * Base units as tokens, cut (not rounded) to `most` places; what would be cut to nothing shows as less than the smallest. Where nobody knows the
 * token's decimals, base units stay base units, and say so.
 * @param {unknown} text base units
 * @param {number | null} decimals of the token
 * @param {number} [most]
 * @returns {string}
 */
export function amount(text, decimals, most = 4) {
  const value = big(text);
  if (value === null) return "–";
  if (value < 0n) return `−${amount(-value, decimals, most)}`;
  if (decimals === null) return `${grouped(value)} base units`;
  const places = Math.min(most, decimals);
  const one = 10n ** BigInt(decimals);
  const cut = 10n ** BigInt(decimals - places);
  const whole = value / one;
  const part = (value % one) / cut;
  if (whole === 0n && part === 0n && value > 0n) return `<0.${"0".repeat(places - 1)}1`;
  const tail = part.toString().padStart(places, "0").replace(/0+$/, "");
  return tail ? `${grouped(whole)}.${tail}` : grouped(whole);
}

/**
 * All digits of an amount.
 * @param {unknown} text base units
 * @param {number | null} decimals of the token
 */
export function exact(text, decimals) {
  const all = amount(text, decimals, decimals ?? 0);
  return decimals === null || all === "–" ? all : `${all} tokens`;
}

/**
 * A count or a quantity with all its digits.
 * @param {unknown} text
 */
export function count(text) {
  const value = big(text);
  return value === null ? "–" : value < 0n ? `−${grouped(-value)}` : grouped(value);
}

/**
 * Units with their kind: `199,229,400 byte-seconds`.
 * @param {unknown} units `{kind, quantity}` or a quantity
 * @param {string} [kind] where `units` is a bare quantity
 */
export function units(units, kind = "") {
  if (units !== null && typeof units === "object") {
    const { kind: named, quantity } = /** @type {{kind?: unknown, quantity?: unknown}} */ (units);
    return `${count(quantity)} ${typeof named === "string" ? named : kind}`.trim();
  }
  return `${count(units)} ${kind}`.trim();
}

/**
 * The bare quantity of units in either form.
 * @param {unknown} units
 */
export function quantity(units) {
  return units !== null && typeof units === "object" ? /** @type {{quantity?: unknown}} */ (units).quantity : units;
}

/**
 * What changed since, in words. The exact difference and its share, cut to a tenth of a percent.
 * @param {unknown} now
 * @param {unknown} before
 * @param {(value: bigint) => string} show
 * @returns {{words: string, way: "up" | "down" | "same"}}
 */
export function delta(now, before, show) {
  const [a, b] = [big(now), big(before)];
  if (a === null || b === null) return { words: "", way: "same" };
  if (a === b) return { words: "no change", way: "same" };
  const way = a > b ? "up" : "down";
  const gap = a > b ? a - b : b - a;
  const sign = a > b ? "+" : "−";
  if (b === 0n) return { words: `${sign}${show(gap)}`, way };
  const mille = (gap * 1000n) / b;
  const share = mille >= 10_000n ? `${grouped(mille / 1000n + 1n)}×` : `${sign}${mille / 10n}.${mille % 10n} %`;
  return { words: `${sign}${show(gap)} (${share})`, way };
}

/**
 * `part` of `whole` as a share of 1000, for widths; 0 where there is no whole.
 * @param {unknown} part
 * @param {unknown} whole
 */
export function mille(part, whole) {
  const [a, b] = [big(part), big(whole)];
  if (a === null || b === null || b <= 0n || a <= 0n) return 0;
  return a >= b ? 1000 : Number((a * 1000n) / b);
}

/**
 * A share in percent with one digit, cut.
 * @param {unknown} part
 * @param {unknown} whole
 */
export function percent(part, whole) {
  const [a, b] = [big(part), big(whole)];
  if (a === null || b === null || b <= 0n) return "–";
  const share = (a * 1000n) / b;
  return `${grouped(share / 10n)}.${share % 10n} %`;
}

/**
 * A span of time, in its largest unit and the next: `2 min 5 s`.
 * @param {number} ms
 */
export function span(ms) {
  if (!Number.isFinite(ms)) return "–";
  const s = Math.max(0, Math.floor(ms / 1000));
  const cuts = /** @type {const} */ ([[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]);
  for (const [at, [size, name]] of cuts.entries()) {
    if (s < size) continue;
    const next = cuts[at + 1];
    const rest = next ? Math.floor((s % size) / next[0]) : 0;
    return next && rest ? `${Math.floor(s / size)} ${name} ${rest} ${next[1]}` : `${Math.floor(s / size)} ${name}`;
  }
  return "0 s";
}

/**
 * How long ago, by the largest unit.
 * @param {number | null | undefined} time ms since the Unix epoch
 * @param {number} now
 */
export function age(time, now) {
  if (typeof time !== "number" || !Number.isFinite(time)) return "never";
  if (time > now + 1000) return `in ${span(time - now)}`;
  return now - time < 1000 ? "just now" : `${span(now - time).replace(/^(\d+ \w+) .*$/, "$1")} ago`;
}

/**
 * A point in time, in UTC: `2026-01-01 00:20:30 UTC`.
 * @param {number | null | undefined} time ms since the Unix epoch
 */
export function moment(time) {
  if (typeof time !== "number" || !Number.isFinite(time) || Math.abs(time) > 8.64e15) return "–";
  return `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/**
 * A long name by its ends: `did:key:z6Mk…Cwt7`, `0x74f4…281e`.
 * @param {string} name
 */
export function short(name) {
  const head = name.startsWith("did:key:") ? 14 : name.startsWith("0x") ? 8 : 10;
  return name.length > head + 8 ? `${name.slice(0, head)}…${name.slice(-6)}` : name;
}

/** What stands for a character that would turn the reading direction or not be seen. */
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/gu;

/**
 * Text from outside: nothing that hides or turns, at most 512 characters.
 * @param {unknown} value
 */
export function plain(value) {
  const text = typeof value === "string" ? value : value === null || value === undefined ? "" : String(value);
  const clean = text.replace(HIDDEN, "\ufffd");
  return clean.length > 512 ? `${clean.slice(0, 511)}…` : clean;
}

/**
 * A word of the API for people: `key-reuse` is `key reuse`.
 * @param {unknown} word
 */
export function words(word) {
  return plain(word).replaceAll("-", " ").replaceAll("_", " ");
}

/**
 * Times in a text, which checks print in milliseconds, as dates.
 * @param {string} text
 */
export function dated(text) {
  return text.replace(/\b(1[5-9]\d{11}|2\d{12})\b/g, (ms) => moment(Number(ms)));
}
