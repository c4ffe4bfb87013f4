// What a chain says of an epoch, by plain JSON-RPC, beside what was recomputed. The contract's address comes from the bundle, and the calls from the program
// that read it: the node that served the page has no say here.

/** Most characters of an answer. */
const MOST = 1 << 20;
const PATIENCE_MS = 20_000;
const STATUS = ["not started", "awaiting a root", "open", "contested", "final"];
const FINAL = 4;
const ZERO = `0x${"0".repeat(64)}`;
/** The words of a candidate, in their order. */
const WORDS = ["root", "total paid", "of it revenue", "bundle digest", "bundle length", "journal root", "journal size", "digest before"];
const NUMBERS = new Set([1, 2, 4, 6]);

/** @typedef {{state: string, state_before: string | null, candidate: string, candidate_id: string | null, expected: (string | null)[]}} Calls */
/** @typedef {{epoch: number, previous: string | null, network: {chain_id: number, distributor: string}, calls: Calls}} Recomputed */
/** @typedef {{what: string, ours: string | null, chain: string | null, same: boolean | null}} Row */
/** @typedef {{block: number, status: string, final: boolean, differs: boolean, rows: Row[], problem: string | null}} Said */
/** The chain has no such contract: nothing there says anything of this bundle. */
class Absent extends Error {}

/** @typedef {(method: string, params: unknown[]) => Promise<unknown>} Ask */

/**
 * A way to ask the chain at `url`.
 * @param {string} url
 * @param {AbortSignal} [stop]
 * @returns {Ask}
 */
export function rpc(url, stop) {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) throw new Error("the chain's address has to start with http:// or https://");
  let id = 0;
  return async (method, params) => {
    id += 1;
    const signals = [AbortSignal.timeout(PATIENCE_MS), ...(stop ? [stop] : [])];
    const response = await fetch(parsed, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id, method, params }),
      credentials: "omit",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.any(signals),
    });
    const text = await limited(response, MOST);
    const answer = parse(text);
    if (answer?.error) throw new Error(`the chain refused ${method}: ${String(answer.error.message).slice(0, 200)}`);
    if (answer?.result === undefined) throw new Error(`the chain gave no answer to ${method} (HTTP ${response.status})`);
    return answer.result;
  };
}

/** @param {string} text */
function parse(text) {
  try {
    return /** @type {{result?: unknown, error?: {message?: unknown}} | null} */ (JSON.parse(text));
  } catch {
    throw new Error("the chain's answer is no JSON; is this the address of an RPC endpoint?");
  }
}

/**
 * The text of an answer that is not too long.
 * @param {Response} response
 * @param {number} most
 */
async function limited(response, most) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const part = await reader?.read();
    if (!part || part.done) return text;
    text += part.value;
    if (text.length > most) {
      await reader?.cancel();
      throw new Error(`the chain's answer is longer than ${most} characters`);
    }
  }
}

/**
 * The 32-byte words of an answer.
 * @param {unknown} data
 * @param {number} count
 * @returns {string[]}
 */
export function words(data, count) {
  if (typeof data !== "string" || !/^0x[0-9a-f]*$/i.test(data) || data.length < 2 + 64 * count) {
    throw new Error(`the contract's answer has ${typeof data === "string" ? data.length : 0} characters, expected ${2 + 64 * count}`);
  }
  return Array.from({ length: count }, (_, at) => `0x${data.slice(2 + 64 * at, 66 + 64 * at).toLowerCase()}`);
}

/**
 * Asks a chain what it says of a recomputed epoch.
 * @param {Ask} ask
 * @param {Recomputed} ours
 * @returns {Promise<Said>}
 */
export async function compare(ask, ours) {
  const { network, calls } = ours;
  const chain = number(await ask("eth_chainId", []));
  if (chain !== BigInt(network.chain_id)) throw new Error(`this is chain ${chain}; the bundle is of chain ${network.chain_id}`);
  const head = number(await ask("eth_blockNumber", []));
  const at = `0x${head.toString(16)}`;
  /** @type {(data: string, count: number) => Promise<string[]>} */
  const call = async (data, count) => {
    const answer = await ask("eth_call", [{ to: network.distributor, data }, at]);
    if (answer === "0x") throw new Absent(`the chain has no distributor at ${network.distributor}: this bundle is of another network`);
    return words(answer, count);
  };
  const candidate = (/** @type {string} */ id) => call(calls.candidate + id.slice(2), 8);

  let state;
  try {
    state = await call(calls.state, 9);
  } catch (error) {
    if (!(error instanceof Absent)) throw error;
    return { block: Number(head), status: "unknown", final: false, differs: true, rows: [], problem: error.message };
  }
  const code = Number(number(state[0]));
  const leading = state[8] ?? ZERO;
  const said = { block: Number(head), status: STATUS[code] ?? `unknown (${code})`, final: code === FINAL };
  if (leading === ZERO) return { ...said, differs: false, rows: [], problem: `the chain has no root for epoch ${ours.epoch} yet` };

  const found = await candidate(leading);
  const rows = found.map((word, at) => row(WORDS[at] ?? "", calls.expected[at] ?? null, word, NUMBERS.has(at)));
  if (calls.candidate_id !== null) rows.push(row("all of it, as one hash", calls.candidate_id, leading, false));
  if (calls.state_before !== null) {
    const before = (await call(calls.state_before, 9))[8] ?? ZERO;
    const digest = before === ZERO ? null : ((await candidate(before))[3] ?? null);
    rows.push({ what: `bundle digest of epoch ${ours.epoch - 1}`, ours: ours.previous, chain: digest, same: digest === null ? null : digest === ours.previous });
  }
  const wrong = rows.find((row) => row.same === false);
  const problem = wrong ? `${wrong.what}: the chain has ${wrong.chain}, recomputed is ${wrong.ours}` : null;
  return { ...said, differs: wrong !== undefined, rows, problem };
}

/**
 * @param {string} what
 * @param {string | null} ours
 * @param {string} chain
 * @param {boolean} isNumber
 * @returns {Row}
 */
function row(what, ours, chain, isNumber) {
  const show = (/** @type {string | null} */ word) => (word !== null && isNumber ? BigInt(word).toString() : word);
  return { what, ours: show(ours), chain: show(chain), same: ours === null ? null : ours.toLowerCase() === chain };
}

/** @param {unknown} word */
function number(word) {
  if (typeof word !== "string" || !/^0x[0-9a-f]{1,64}$/i.test(word)) throw new Error("the chain's answer is no number");
  return BigInt(word);
}
