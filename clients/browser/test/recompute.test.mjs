// Recomputing an epoch in the browser: against the chain, one device alone, and with a node that changes one byte. The program is the auditor of `depin audit`.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { run } from "../../../crates/depin/page/recompute-wasi.js";
import { launch, open, screenshot } from "../lib/browser.mjs";
import { PROGRAM, ROOT, all, eventually, get, startNetwork } from "../lib/network.mjs";
import { startProxy } from "../lib/proxy.mjs";

const COMMITTED = join(ROOT, "crates/depin/page/recompute.wasm");
let network;
let browser;
let folder;
let device;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "depin-recompute-"));
  network = await startNetwork();
  browser = await launch();
  await eventually("the second epoch is final", async () => (await get(network.node, "/api/v1/epochs")).items.some((row) => row.epoch >= 1 && row.status === "final"));
  device = (await all(network.node, "/api/v1/devices")).find((row) => row.last_outcome === "reject").did;
});

after(async () => {
  await browser?.close();
  await network?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Opens the document, lets it recompute, and gives what it says. */
async function recompute(t, base, query, { rpc = network.chain, check = [] } = {}) {
  const { page, offences, close } = await open(browser, base, { also: [new URL(rpc).origin] });
  t.after(close);
  await page.goto(`${base}/recompute?${query}`);
  await page.fill("#rpc", rpc);
  for (const id of check) await page.check(`#${id}`);
  await page.click("#start");
  await page.waitForSelector("#result:not([hidden])", { timeout: 60_000 });
  const said = { verdict: await page.textContent("#verdict"), text: await page.innerText("#result"), tone: await page.getAttribute("#result", "data-tone") };
  return { ...said, page, offences };
}

/** A node that changes what it serves. */
async function proxied(t, change) {
  const proxy = await startProxy(network.node, change);
  t.after(proxy.stop);
  return proxy.url;
}

test("an epoch is recomputed and is what the chain has", async (t) => {
  const { verdict, text, tone, offences, page } = await recompute(t, network.node, `epoch=1&device=${device}`, { check: ["before"] });
  assert.match(verdict, /^Match: the bundle of epoch 1 follows from itself, and the chain has the same$/);
  assert.equal(tone, "good");
  const row = await get(network.node, "/api/v1/epochs/1");
  assert.ok(text.includes(row.root) && text.includes(device), "root and device are shown");
  assert.match(text, /is final on chain, as of block/);
  assert.match(text, /bundle digest of epoch 0/i);
  assert.doesNotMatch(text, /\bdiffers\b/);
  await screenshot(page, "recompute-match");
  assert.deepEqual(offences, []);
});

test("one device is recomputed from its excerpt", async (t) => {
  const { verdict, text, offences } = await recompute(t, network.node, `epoch=1&device=${device}`, { check: ["excerpt"] });
  assert.match(verdict, /^Match: the excerpt of epoch 1 follows from itself, and the chain has the same$/);
  assert.match(text, /reject/i);
  assert.deepEqual(offences, []);
});

test("a bundle with one byte changed is refused, by the name of what was changed", async (t) => {
  const sections = sectionsOf(await bytes(1));
  const at = sections.at(-2);
  const proxy = await proxied(t, (path, body) => (path.endsWith("/api/v1/bundles/1") ? flipped(body, at.start + at.length / 2) : null));
  const { verdict, text, tone, page, offences } = await recompute(t, proxy, "epoch=1");
  assert.match(verdict, /^Mismatch/);
  assert.equal(tone, "bad");
  assert.match(text, new RegExp(`section devices\\[${sections.length - 5}\\] was changed`));
  await screenshot(page, "recompute-mismatch");
  assert.deepEqual(offences, []);
});

test("the bundle of another epoch is not taken for the one that was asked for", async (t) => {
  const other = await bytes(0);
  const proxy = await proxied(t, (path) => (path.endsWith("/api/v1/bundles/1") ? other : null));
  const { verdict, text } = await recompute(t, proxy, "epoch=1");
  assert.match(verdict, /^Mismatch/);
  assert.match(text, /epoch 1 was asked for, and the node gave epoch 0/);
});

test("a bundle of another network, which follows from itself, is refused", async (t) => {
  const elsewhere = await startNetwork({ seed: "10" });
  t.after(elsewhere.stop);
  const other = await eventually("an epoch of the other network", async () => {
    const response = await fetch(`${elsewhere.node}/api/v1/bundles/0`);
    return response.ok ? Buffer.from(await response.arrayBuffer()) : null;
  });
  const proxy = await proxied(t, (path) => (path.endsWith("/api/v1/bundles/0") ? other : null));
  const { verdict, text, tone } = await recompute(t, proxy, "epoch=0");
  assert.equal(verdict, "Mismatch: the bundle of epoch 0 follows from itself, and this chain has another");
  assert.equal(tone, "bad");
  assert.match(text, /the chain has no distributor at 0x|the chain has 0x/);
});

test("where the chain has another root, the root is named", async (t) => {
  const { root } = await get(network.node, "/api/v1/epochs/1");
  const changed = `${root.slice(0, -1)}${root.endsWith("0") ? "1" : "0"}`;
  const lying = await startProxy(network.chain, (_, body) => Buffer.from(body.toString().replaceAll(root.slice(2), changed.slice(2))));
  t.after(lying.stop);
  const { verdict, text } = await recompute(t, network.node, "epoch=1", { rpc: lying.url });
  assert.equal(verdict, "Mismatch: the bundle of epoch 1 follows from itself, and this chain has another");
  assert.ok(text.includes(`root: the chain has ${changed}, recomputed is ${root}`), text);
});

test("a chain that is none is said to be none", async (t) => {
  const { tone, text } = await recompute(t, network.node, "epoch=1", { rpc: `${network.node}/api/v1/status` });
  assert.equal(tone, "warn");
  assert.match(text, /The chain could not be asked/);
});

test("hashes of what runs are those of the files", async (t) => {
  const { page, close } = await open(browser, network.node);
  t.after(close);
  await page.goto(`${network.node}/recompute`);
  const { createHash } = await import("node:crypto");
  for (const name of ["recompute.html", "recompute.js", "recompute.wasm"]) {
    const expected = createHash("sha256").update(readFileSync(join(ROOT, "crates/depin/page", name))).digest("hex");
    await eventually(`the hash of ${name}`, async () => (await page.innerText("#hashes")).includes(expected));
  }
});

/** The file of an epoch. */
async function bytes(epoch) {
  return Buffer.from(await (await fetch(`${network.node}/api/v1/bundles/${epoch}`)).arrayBuffer());
}

function flipped(file, at) {
  const copy = Buffer.from(file);
  copy[Math.floor(at)] ^= 1;
  return copy;
}

/** Where the sections lie in a bundle: the CBOR array [format, digest, hashes, [sections]], of byte strings. */
function sectionsOf(file) {
  let at = 0;
  const head = () => {
    const first = file[at];
    at += 1;
    const size = first & 31;
    if (size < 24) return size;
    const length = 1 << (size - 24);
    const value = length === 8 ? Number(file.readBigUInt64BE(at)) : file.readUIntBE(at, length);
    at += length;
    return value;
  };
  const skip = () => {
    const length = head();
    at += length;
    return { start: at - length, length };
  };
  assert.equal(head(), 4);
  skip();
  skip();
  for (let hashes = head(); hashes > 0; hashes -= 1) skip();
  return Array.from({ length: head() }, skip);
}

/** What `depin audit` says of a file. */
function native(file) {
  return new Promise((resolve) => {
    const env = { ...process.env, DEPIN_RPC: undefined };
    delete env.DEPIN_RPC;
    execFile(PROGRAM, ["audit", file, "--json"], { env }, (error, stdout, stderr) => {
      const answer = JSON.parse(stdout);
      resolve({ match: answer.match, epoch: answer.epoch, digest: answer.digest, root: answer.root, problem: /^mismatch: (.*)$/m.exec(stderr)?.[1] ?? null });
    });
  });
}

/** What the program says of a file whose signatures are checked apart from it in so many parts, or by itself in none. */
async function audited(program, file, parts, intact) {
  const read = ({ output, errors, code }) => {
    assert.ok(code < 2, errors);
    return JSON.parse(new TextDecoder().decode(output));
  };
  const known = [];
  for (let part = 0; part < parts; part++) {
    const checked = await run(program, ["signatures", `${part}/${parts}`, "--size", String(file.length)], [file]);
    if (checked.code === 0) known.push(checked.output);
  }
  if (known.length === parts && parts > 0) {
    const answer = read(await run(program, ["audit", "--signatures", "assumed", "--size", String(file.length)], [file]));
    const stands = answer.assumed === read(await run(program, ["together"], known));
    if (intact) assert.ok(stands, "what was assumed of an intact file turned out right");
    if (stands) return answer;
  }
  const length = known.reduce((sum, one) => sum + one.length, 0);
  return read(await run(program, ["audit", "--signatures", String(length), "--size", String(length + file.length)], [...known, file]));
}

test("the program finds what `depin audit` finds, in intact files and with a byte flipped in each section", async (t) => {
  const programs = [COMMITTED, process.env.DEPIN_RECOMPUTE].filter((path) => path && existsSync(path)).map((path) => new WebAssembly.Module(readFileSync(path)));
  assert.ok(programs.length > 0);
  const cases = [];
  for (const epoch of [0, 1]) {
    const file = await bytes(epoch);
    cases.push([`epoch ${epoch}`, file, true]);
    const places = sectionsOf(file).map(({ start, length }) => start + length / 2);
    // The format, the digest and the hashes as well.
    for (const at of [3, 20, 60, 100, ...places]) cases.push([`epoch ${epoch}, byte ${Math.floor(at)}`, flipped(file, at), false]);
  }
  const excerpt = Buffer.from(await (await fetch(`${network.node}/api/v1/bundles/1/devices/${device}`)).arrayBuffer());
  cases.push(["excerpt", excerpt, true], ["excerpt, changed", flipped(excerpt, excerpt.length / 2), false]);
  for (const [name, file, intact] of cases) {
    const path = join(folder, "case");
    writeFileSync(path, file);
    const expected = await native(path);
    assert.equal(expected.match, intact, name);
    for (const program of programs) {
      for (const parts of [0, 1, 3]) {
        const { match, epoch, digest, root, problem } = await audited(program, file, parts, intact && name !== "excerpt");
        assert.deepEqual({ match, epoch, digest, root, problem: problem?.message ?? null }, expected, `${name}, ${parts} parts`);
      }
    }
  }
});
