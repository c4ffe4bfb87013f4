// Reads of the node's API. A view says what it needs while it is drawn; what is there comes back at once, what is not is fetched, and the
// view is drawn again. Answers that are shown are kept while newer ones are on their way: numbers move, nothing flickers.
import { signal } from "./lib.js";
import { route } from "./router.js";

/** @typedef {{block: number | null, hash: string | null, time: number | null, final: boolean, final_block: number | null, final_time: number | null, journal: number}} At */
/** @typedef {{code: string, message: string, next: string}} Failure */
/**
 * An answer: what is known (`data`), what went wrong last (`error`), whether a first answer is awaited.
 * @template T
 * @typedef {{data: T | null, error: Failure | null, waiting: boolean}} Answer
 */
/** @typedef {{path: string, topics: readonly string[], state: import("./vendor/signals-core.mjs").Signal<Answer<any>>, busy: boolean, again: boolean, due: number, used: number, timer: ReturnType<typeof setTimeout> | undefined}} Entry */

const BASE = "/api/v1";
const NETWORK = `${BASE}/network`;
/** Answers kept: those shown, and some of those shown before, for going back. */
const KEPT = 48;
/** Longest wait for an answer. */
const PATIENCE = 20_000;
/** Shortest time between two reads of the same thing. */
const PACE = 1_000;

/** More than any token has; beyond it, what the node says is nonsense. */
const MOST_DECIMALS = 77;

/** @type {Map<string, Entry>} */
const entries = new Map();
let frame = 0;

/** The node's own time by its last answer that told it, and when that came; a simulated network's clock is not ours. */
const clock = { told: 0, heard: 0 };
/** Ticks, so that ages grow. */
export const tick = signal(0);

/** Now by the node's clock, in ms. */
export function now() {
  void tick.value;
  if (!clock.told) return Date.now();
  return clock.told + (Date.now() - clock.heard);
}

/**
 * @param {unknown} told the node's time in ms, or that of a block, which lies before it
 * @param {boolean} [own] whether it is the node's
 */
export function hear(told, own = false) {
  if (typeof told === "number" && Number.isFinite(told) && (own || !clock.told || told > now())) {
    clock.told = told;
    clock.heard = Date.now();
  }
}

/**
 * The address of a reading route, with `at` as the visitor chose it.
 * @param {string} path below `/api/v1`
 * @param {Record<string, string | number | null | undefined>} [params]
 */
export function url(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  if (route.value.params.get("at") === "final") query.set("at", "final");
  const text = query.toString();
  return `${BASE}${path}${text ? `?${text}` : ""}`;
}

/**
 * What the node says at `address`, as far as it is here; asks for it if it is not. Only while drawing.
 * @template T
 * @param {string} address
 * @param {readonly string[]} topics what makes it read again
 * @returns {Answer<T>}
 */
export function read(address, topics) {
  let entry = entries.get(address);
  if (!entry) {
    entry = { path: address, topics, state: signal({ data: null, error: null, waiting: true }), busy: false, again: false, due: 0, used: frame, timer: undefined };
    entries.set(address, entry);
    const made = entry;
    queueMicrotask(() => load(made));
  } else if (entry.used < frame - 1) {
    const back = entry;
    queueMicrotask(() => load(back));
  }
  entry.used = frame;
  entry.topics = topics;
  return entry.state.value;
}

/** @typedef {{chain: string, params?: {chain_id?: number, unit?: string}, contracts?: {distributor?: string, registry?: string}, decimals?: number | null, windows?: {challenge: number, evidence: number, resolution: number, max_voids: number} | null}} Network */

/** What network this is. Once the node knows what the contracts were deployed with, that does not change any more. */
export function network() {
  const known = entries.get(NETWORK)?.state.value.data?.decimals ?? null;
  return /** @type {Answer<Network>} */ (read(NETWORK, known === null ? ["overview"] : []));
}

/** Decimals of the token; null while nobody knows, undefined while that is asked. Only while drawing. */
export function decimals() {
  const { data, waiting } = network();
  if (waiting) return undefined;
  const said = data?.decimals;
  return typeof said === "number" && Number.isInteger(said) && said >= 0 && said <= MOST_DECIMALS ? said : null;
}

/** Begins a drawing: what is read from here on is in use. */
export function begin() {
  frame += 1;
}

/** Ends a drawing: forgets what was not read for long. */
export function end() {
  if (entries.size <= KEPT) return;
  const old = [...entries.values()].filter((entry) => entry.used < frame).sort((a, b) => a.used - b.used);
  for (const entry of old.slice(0, entries.size - KEPT)) {
    clearTimeout(entry.timer);
    entries.delete(entry.path);
  }
}

/** What is shown now. */
function shown() {
  return [...entries.values()].filter((entry) => entry.used === frame);
}

/** The topics of what is shown now, sorted. */
export function topics() {
  return [...new Set(shown().flatMap((entry) => entry.topics))].sort();
}

/**
 * Reads again what is shown and has this topic; everything shown if none is named.
 * @param {string} [topic]
 */
export function refresh(topic) {
  for (const entry of shown()) {
    if (topic === undefined || entry.topics.includes(topic)) void load(entry);
  }
}

/**
 * @param {Entry} entry
 */
async function load(entry) {
  if (entry.busy) {
    entry.again = true;
    return;
  }
  const wait = entry.due - Date.now();
  if (wait > 0) {
    if (!entry.timer) entry.timer = setTimeout(() => ((entry.timer = undefined), void load(entry)), wait);
    return;
  }
  entry.busy = true;
  entry.again = false;
  const { data, error, after } = await get(entry.path);
  entry.due = Date.now() + Math.max(PACE, after);
  entry.busy = false;
  entry.state.value = { data: error ? entry.state.value.data : data, error, waiting: false };
  if (entry.again || after > 0) void load(entry);
}

/**
 * @param {string} address
 * @returns {Promise<{data: any, error: Failure | null, after: number}>}
 */
async function get(address) {
  try {
    const response = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE), headers: { accept: "application/json" } });
    const data = await response.json().catch(() => null);
    if (response.ok && data !== null) {
      if (address.startsWith(`${BASE}/status`)) hear(data.now, true);
      else hear(data.at?.time);
      return { data, error: null, after: 0 };
    }
    const busy = response.status === 429 || response.status === 503;
    const after = busy ? Math.min(60, Number(response.headers.get("retry-after")) || 2) * 1000 : 0;
    return { data: null, error: failure(response.status, data), after };
  } catch {
    const next = "The page tries again by itself; is the node running?";
    return { data: null, error: { code: "unreachable", message: "The node does not answer.", next }, after: 0 };
  }
}

/**
 * @param {number} status
 * @param {any} data
 * @returns {Failure}
 */
function failure(status, data) {
  const { code, message, next } = data?.error ?? {};
  if (typeof code === "string") return { code, message: String(message ?? code), next: String(next ?? "") };
  return { code: `http-${status}`, message: `The node answered with HTTP ${status}.`, next: "Try again; if it stays, look at the node's log." };
}
