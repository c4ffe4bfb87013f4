// The document that recomputes an epoch: reads a bundle, has a worker audit it, asks a chain the visitor names, shows what came out.
import { compare, rpc } from "./recompute-chain.js";
import { report } from "./recompute-report.js";

/** Largest file that is read here: recomputing takes some six times its size, and a browser gives a program 4 GiB. */
const MOST_BYTES = 400 << 20;
/** Most workers that check signatures: each holds the file twice. */
const MOST_WORKERS = 4;
/** What runs here. */
const FILES = [
  "recompute.html", "recompute.css", "recompute.js", "recompute-chain.js", "recompute-report.js", "recompute-wasi.js", "recompute-worker.js", "format.js", "theme.js",
  "recompute.wasm",
];

/** @typedef {import("./recompute-report.js").Answer} Answer */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
function part(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`#${id} is missing`);
  return found;
}

const field = (/** @type {string} */ id) => part(id, HTMLInputElement);
const [epoch, file, device, excerpt, before, rpcField] = ["epoch", "file", "device", "excerpt", "before", "rpc"].map(field);
const start = part("start", HTMLButtonElement);
const stop = part("stop", HTMLButtonElement);
const step = part("step", HTMLParagraphElement);
const bar = part("bar", HTMLProgressElement);
const progress = part("progress", HTMLElement);
const result = part("result", HTMLElement);
const verdict = part("verdict", HTMLHeadingElement);
const found = part("found", HTMLDivElement);

const beside = (/** @type {string} */ name) => new URL(name, import.meta.url);

/** The one address that may become a script. */
const worker = beside("recompute-worker.js").href;
const policy = /** @type {{trustedTypes?: {createPolicy(name: string, rules: object): {createScriptURL(text: string): string}}}} */ (globalThis)
  .trustedTypes?.createPolicy("recompute", {
    createScriptURL(/** @type {string} */ text) {
      if (text !== worker) throw new TypeError("only this page's own worker");
      return text;
    },
  });

/** @type {Promise<WebAssembly.Module> | undefined} */
let program;
/** @type {AbortController | undefined} */
let running;

/**
 * Reads what an address has, at most {@link MOST_BYTES} of it.
 * @param {URL} url
 * @param {AbortSignal} signal
 * @returns {Promise<ArrayBuffer>}
 */
async function download(url, signal) {
  const response = await fetch(url, { signal });
  if (!response.ok) {
    const said = await response.json().catch(() => null);
    throw new Error(said?.error?.message ? `the node says: ${String(said.error.message).slice(0, 300)}` : `the node answered ${response.status}`);
  }
  const length = Number(response.headers.get("content-length") ?? 0);
  if (length > MOST_BYTES) throw tooLarge(length);
  const reader = response.body?.getReader();
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const parts = [];
  let size = 0;
  for (;;) {
    const part = await reader?.read();
    if (!part || part.done) break;
    parts.push(part.value);
    size += part.value.length;
    if (size > MOST_BYTES) throw tooLarge(size);
    say(`Reading: ${Math.ceil(size / 1024)} KiB`, length > 0 ? size / length : null);
  }
  return new Blob(parts).arrayBuffer();
}

/** @param {number} size */
function tooLarge(size) {
  return new Error(`${size} bytes are more than the ${MOST_BYTES} that fit a browser; use \`depin audit\`, or look at one device only`);
}

/**
 * @param {string} text
 * @param {number | null} [share]
 */
function say(text, share = null) {
  if (step.textContent !== text) step.textContent = text;
  if (share === null) bar.removeAttribute("value");
  else bar.value = Math.floor(share * 1000);
}

/**
 * Has workers audit a file. Its signatures and the hashes of its devices are checked on other cores meanwhile, and the audit takes them for right until then;
 * should one be wrong, it is made again, knowing which signatures are right.
 * @param {{bundle: ArrayBuffer, before: ArrayBuffer | null, device: string | null}} job
 * @param {AbortSignal} signal
 * @returns {Promise<{answer: Answer, ms: number, memory: number}>}
 */
async function audit({ bundle, before, device }, signal) {
  program ??= WebAssembly.compileStreaming(fetch(beside("recompute.wasm")));
  const module = await program.catch((error) => {
    program = undefined;
    throw error;
  });
  const started = performance.now();
  let memory = 0;
  /** @type {(args: string[], input: ArrayBuffer[], handed?: Transferable[]) => Promise<ArrayBuffer>} */
  const run = async (args, input, handed = []) => {
    const ended = await inWorker({ program: module, args, input }, handed, signal);
    memory += ended.memory;
    return ended.output;
  };
  const size = (/** @type {ArrayBuffer[]} */ input) => String(input.reduce((sum, part) => sum + part.byteLength, 0));
  const rest = before ? [before, bundle] : [bundle];
  /** @type {(signatures: ArrayBuffer[] | null) => Promise<Answer>} */
  const whole = async (signatures) => {
    const input = [...(signatures ?? []), ...rest];
    const args = ["audit", "--signatures", signatures ? size(signatures) : "assumed", "--size", size(input)];
    if (before) args.push("--previous", String(before.byteLength));
    if (device) args.push("--device", device);
    return read(await run(args, input, signatures ? input : []));
  };
  const others = Math.min((navigator.hardwareConcurrency || 1) - 1, MOST_WORKERS);
  if (others < 1) {
    const answer = await whole([]);
    return { answer, ms: performance.now() - started, memory };
  }
  const parts = Array.from({ length: others }, (_, n) => run(["signatures", `${n}/${others}`, "--size", String(bundle.byteLength)], [bundle]));
  const checked = Promise.all(parts).catch((error) => {
    if (signal.aborted) throw error;
    return null;
  });
  // So many workers may need more memory than there is; one alone then still may not.
  const assuming = whole(null).catch((error) => {
    if (signal.aborted) throw error;
    return null;
  });
  const [answer, signatures] = await Promise.all([assuming, checked]);
  // Of an excerpt nothing is assumed.
  const stands = answer?.kind === "excerpt" || (signatures && answer?.assumed === read(await run(["together"], signatures)));
  if (answer && stands) return { answer, ms: performance.now() - started, memory };
  memory = 0;
  return { answer: await whole(signatures ?? []), ms: performance.now() - started, memory };
}

/** @param {ArrayBuffer} output */
function read(output) {
  return JSON.parse(new TextDecoder().decode(output));
}

/**
 * Gives a worker something to run and waits for what comes out.
 * @param {import("./recompute-worker.js").Job} job
 * @param {Transferable[]} handed What is handed over, not copied.
 * @param {AbortSignal} signal
 * @returns {Promise<{output: ArrayBuffer, memory: number}>}
 */
async function inWorker(job, handed, signal) {
  signal.throwIfAborted();
  const runner = new Worker(policy ? policy.createScriptURL(worker) : worker, { type: "module" });
  try {
    return await new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("stopped")));
      runner.addEventListener("error", (event) => reject(new Error(event.message || "the worker could not be started")));
      runner.addEventListener("message", ({ data }) => (data.failed ? reject(new Error(data.failed)) : resolve(data)));
      runner.postMessage(job, handed);
    });
  } finally {
    runner.terminate();
  }
}

/**
 * The file and, if asked for, the one before it.
 * @param {AbortSignal} signal
 */
async function inputs(signal) {
  const did = device?.value.trim() || null;
  const chosen = file?.files?.[0];
  if (chosen) {
    if (chosen.size > MOST_BYTES) throw tooLarge(chosen.size);
    return { bundle: await chosen.arrayBuffer(), before: null, device: did, epoch: null };
  }
  const text = epoch?.value.trim() ?? "";
  if (!/^\d{1,15}$/.test(text)) throw new Error("name an epoch by its number, or choose a file");
  const address = (/** @type {number} */ number) => new URL(`/api/v1/bundles/${number}`, location.origin);
  const number = Number(text);
  if (excerpt?.checked) {
    if (!did) throw new Error("name the device, or recompute the whole epoch");
    return { bundle: await download(new URL(`${address(number).pathname}/devices/${encodeURIComponent(did)}`, location.origin), signal), before: null, device: did, epoch: number };
  }
  const bundle = await download(address(number), signal);
  const previous = before?.checked && number > 0 ? await download(address(number - 1), signal) : null;
  return { bundle, before: previous, device: did, epoch: number };
}

/** Recomputes what the form names. */
async function go() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  result.hidden = true;
  progress.hidden = false;
  stop.hidden = false;
  start.disabled = true;
  keep();
  try {
    say("Reading");
    const job = await inputs(signal);
    say("Recomputing: signatures, verdicts, allocation, root");
    const done = await audit(job, signal);
    if (job.epoch !== null && done.answer.epoch !== null && done.answer.epoch !== job.epoch) {
      const message = `epoch ${job.epoch} was asked for, and the node gave epoch ${done.answer.epoch}`;
      Object.assign(done.answer, { match: false, problem: { message, path: null, stated: null, recomputed: null } });
    }
    const url = rpcField?.value.trim() ?? "";
    /** @type {import("./recompute-report.js").Chain} */
    let chain = null;
    if (url !== "" && done.answer.calls) {
      say("Asking the chain");
      chain = await compare(rpc(url, signal), /** @type {never} */ (done.answer)).catch((error) => ({ failed: reason(error) }));
    }
    show(report(done, chain));
  } catch (error) {
    show({ title: signal.aborted ? "Stopped" : "This could not be recomputed", tone: "bad", body: [paragraph(signal.aborted ? "Nothing was decided." : reason(error))] });
  } finally {
    progress.hidden = true;
    stop.hidden = true;
    start.disabled = false;
  }
}

/** @param {unknown} error */
function reason(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {string} text */
function paragraph(text) {
  const made = document.createElement("p");
  made.textContent = text;
  return made;
}

/** @param {{title: string, tone: string, body: Node[]}} said */
function show({ title, tone, body }) {
  verdict.textContent = title;
  result.dataset["tone"] = tone;
  found.replaceChildren(...body);
  result.hidden = false;
  verdict.focus();
}

/** Keeps epoch and device in the address, so that it can be sent to somebody. The chain's address may hold a key and stays out. */
function keep() {
  const query = new URLSearchParams();
  if (epoch?.value.trim()) query.set("epoch", epoch.value.trim());
  if (device?.value.trim()) query.set("device", device.value.trim());
  history.replaceState(null, "", query.size > 0 ? `?${query.toString().replaceAll("%3A", ":")}` : location.pathname);
}

/** Shows what this page consists of. */
async function hashes() {
  const rows = part("hashes", HTMLTableSectionElement);
  const version = beside(".").pathname;
  for (const name of FILES) {
    const row = rows.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    row.append(head);
    row.insertCell().textContent = await hash(name, version).catch((error) => reason(error));
  }
}

/**
 * @param {string} name
 * @param {string} version The path that the files have here; in the source the document says `@` instead.
 */
async function hash(name, version) {
  if (!globalThis.isSecureContext) throw new Error("hashed only over https or on localhost: use curl and sha256sum");
  const own = name === "recompute.html";
  const response = await fetch(own ? new URL("/recompute", location.origin) : beside(name));
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const bytes = own ? new TextEncoder().encode((await response.text()).replaceAll(version, "/assets/@/")) : await response.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const asked = new URLSearchParams(location.search);
if (epoch) epoch.value = (asked.get("epoch") ?? "").replace(/\D/g, "").slice(0, 15);
if (device) device.value = (asked.get("device") ?? "").slice(0, 120);
part("form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void go();
});
stop.addEventListener("click", () => running?.abort());
void hashes();
