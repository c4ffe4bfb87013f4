// A network for development, started for the tests, and how to ask its node and its chain.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
export const PROGRAM = process.env.DEPIN_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug/depin");

/**
 * Starts `depin dev` with cheaters; resolves when node and chain answer. Its time is simulated: an epoch takes as long as its devices do. Without a
 * seed it is the time of this machine.
 */
export async function startNetwork({ seed = "9", seconds = "5", devices = "4", cheaters = "5" } = {}) {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing; build it with \`cargo build -p depin-cli\`, or name it in DEPIN_BIN`);
  const state = mkdtempSync(join(tmpdir(), "depin-browser-"));
  const args = ["dev", "--devices", devices, "--cheaters", cheaters, "--seconds-per-epoch", seconds, "--port", "0", "--state", state];
  if (seed !== null) args.push("--seed", seed);
  const child = spawn(PROGRAM, args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  const urls = await new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`depin dev ended with ${code}:\n${said}`)));
    child.once("error", reject);
    child.stderr.on("data", (part) => {
      said = (said + part).slice(-100_000);
      const node = /^node +(http:\S+)$/m.exec(said);
      const chain = /^chain +(http:\S+)$/m.exec(said);
      if (node && chain) resolve({ node: node[1].replace(/\/$/, ""), chain: chain[1] });
    });
  });
  const stop = async () => {
    child.removeAllListeners("exit");
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGINT");
    const killer = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await gone;
    clearTimeout(killer);
    rmSync(state, { recursive: true, force: true });
  };
  return { ...urls, state, stop };
}

/** Asks a node for JSON. */
export async function get(base, path) {
  const response = await fetch(base + path, { signal: AbortSignal.timeout(30_000) });
  const body = await response.json();
  if (!response.ok) throw new Error(`${path}: ${body?.error?.message ?? response.status}`);
  return body;
}

/** Every row of a list. */
export async function all(base, path) {
  const rows = [];
  let cursor = null;
  do {
    const page = await get(base, path + (cursor === null ? "" : `${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}`));
    rows.push(...page.items);
    cursor = page.next;
  } while (cursor !== null && rows.length < 10_000);
  return rows;
}

/** Asks again until `found` gives something; how long that takes is not what is tested. */
export async function eventually(what, found) {
  let last;
  for (let tries = 0; tries < 900; tries += 1) {
    try {
      const value = await found();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`it did not happen: ${what}`, { cause: last });
}
