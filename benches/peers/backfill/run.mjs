// Compares the backfill of depin-index with ponder's: the same logs from the same anvil, the systems in turn, each with a new database.
//
//   npm ci && node run.mjs [LOGS] [ROUNDS]
//
// Needs PostgreSQL 15 (initdb, postgres) and a user to run it as when this runs as root (PGUSER_OS, default `nobody`); anvil from contracts/.
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createPublicClient, createTestClient, createWalletClient, encodeFunctionData, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const require = createRequire(import.meta.url);
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../../..");
const logs = Number(process.argv[2] ?? 500_000);
const rounds = Number(process.argv[3] ?? 3);
const perBlock = 1_000;
const chainId = 31_337;
const [rpcPort, pgPort, ponderPort] = [18_545, 15_432, 14_069];
const rpcUrl = `http://127.0.0.1:${rpcPort}`;
const work = mkdtempSync(join(tmpdir(), "backfill-"));
chmodSync(work, 0o755);
const children = [];

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: "ignore", ...options });
  children.push(child);
  return child;
}
function stop(child) {
  return new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) return done();
    child.once("exit", done);
    child.kill("SIGINT");
    setTimeout(() => child.kill("SIGKILL"), 10_000).unref();
  });
}

function compile() {
  const solc = require("solc");
  const input = {
    language: "Solidity",
    sources: { "Payments.sol": { content: readFileSync(join(here, "contract/Payments.sol"), "utf8") } },
    settings: { optimizer: { enabled: true }, outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } } },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const errors = (output.errors ?? []).filter((error) => error.severity === "error");
  if (errors.length) throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
  const { abi, evm } = output.contracts["Payments.sol"].Payments;
  return { abi, bytecode: `0x${evm.bytecode.object}` };
}

async function chain() {
  const anvil = process.env.ANVIL ?? join(root, "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
  const gas = ["--gas-limit", "100000000", "--no-mining", "--order", "fifo", "--base-fee", "0"];
  start(anvil, ["--silent", "--port", String(rpcPort), "--chain-id", String(chainId), ...gas]);
  const transport = http(rpcUrl, { timeout: 120_000 });
  const test = createTestClient({ mode: "anvil", transport });
  const client = createPublicClient({ transport });
  for (let tries = 0; ; tries++) {
    try { await client.getChainId(); break; } catch (error) { if (tries > 100) throw error; await sleep(100); }
  }
  const account = privateKeyToAccount("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
  const wallet = createWalletClient({ account, transport });
  const common = { account, chain: null, gasPrice: 0n, type: "legacy" };
  const { abi, bytecode } = compile();
  const deployed = await wallet.deployContract({ ...common, abi, bytecode, gas: 3_000_000n });
  await test.mine({ blocks: 1 });
  const { contractAddress } = await client.getTransactionReceipt({ hash: deployed });
  for (let first = 0; first < logs; first += perBlock) {
    const count = Math.min(perBlock, logs - first);
    const data = encodeFunctionData({ abi, functionName: "pay", args: [BigInt(first), BigInt(count)] });
    await wallet.sendTransaction({ ...common, to: contractAddress, data, gas: 30_000_000n });
    await test.mine({ blocks: 1 });
  }
  // Past what either system counts as final, so that both read the logs as history.
  await test.mine({ blocks: 400 });
  return contractAddress;
}

/// How fast the node alone gives the logs: nobody can be faster.
async function limit(contract) {
  const client = createPublicClient({ transport: http(rpcUrl, { timeout: 120_000 }) });
  const last = Number(await client.getBlockNumber());
  const began = performance.now();
  let count = 0;
  for (let from = 0; from <= last; from += 16) {
    const body = { jsonrpc: "2.0", id: 1, method: "eth_getLogs", params: [
      { address: contract, fromBlock: `0x${from.toString(16)}`, toBlock: `0x${Math.min(from + 15, last).toString(16)}` }] };
    const headers = { "content-type": "application/json" };
    const text = await (await fetch(rpcUrl, { method: "POST", headers, body: JSON.stringify(body) })).text();
    count += text.split('"logIndex"').length - 1;
  }
  if (count !== logs) throw new Error(`the node gave ${count} logs of ${logs}`);
  return logs / ((performance.now() - began) / 1000);
}

function depin(contract, round) {
  const directory = join(work, `depin-${round}`);
  mkdirSync(directory);
  const program = process.env.BACKFILL ?? join(root, "target/release/examples/backfill");
  const said = JSON.parse(execFileSync(program, [rpcUrl, String(chainId), contract, directory], { encoding: "utf8" }));
  rmSync(directory, { recursive: true });
  return { events: said.events, paid: said.paid, burned: said.burned, seconds: said.milliseconds / 1000, raw: said.raw_milliseconds / 1000 };
}

function postgres() {
  const data = join(work, "postgres");
  mkdirSync(data);
  let as = {};
  if (process.getuid() === 0) {
    const user = process.env.PGUSER_OS ?? "nobody";
    const id = (flag) => Number(execFileSync("id", [flag, user], { encoding: "utf8" }));
    as = { uid: id("-u"), gid: id("-g") };
    chownSync(data, as.uid, as.gid);
  }
  const bin = execFileSync("pg_config", ["--bindir"], { encoding: "utf8" }).trim();
  execFileSync(join(bin, "initdb"), ["-D", data, "-U", "bench", "--auth=trust", "--no-locale", "-E", "UTF8"], { ...as, cwd: data, stdio: "ignore" });
  start(join(bin, "postgres"), ["-D", data, "-p", String(pgPort), "-k", data, "-c", "listen_addresses=127.0.0.1"], { ...as, cwd: data });
}
const sql = (database, statement) =>
  execFileSync("psql", ["-h", "127.0.0.1", "-p", String(pgPort), "-U", "bench", "-d", database, "-At", "-c", statement], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();

async function ponder(contract, round) {
  const database = `ponder_${round}`;
  for (let tries = 0; ; tries++) {
    try { sql("postgres", `CREATE DATABASE ${database}`); break; } catch (error) { if (tries > 100) throw error; await sleep(100); }
  }
  const env = { ...process.env, CONTRACT: contract, RPC_URL: rpcUrl, CHAIN_ID: String(chainId), PONDER_TELEMETRY_DISABLED: "true",
    DATABASE_URL: `postgres://bench@127.0.0.1:${pgPort}/${database}` };
  const began = performance.now();
  const child = start(join(here, "node_modules/.bin/ponder"), ["start", "--schema", "bench", "--port", String(ponderPort), "--log-level", "warn"], { cwd: here, env, stdio: ["ignore", "inherit", "inherit"] });
  for (;;) {
    if (child.exitCode !== null) throw new Error(`ponder ended with ${child.exitCode}`);
    const ready = await fetch(`http://127.0.0.1:${ponderPort}/ready`).then((answer) => answer.ok, () => false);
    if (ready) break;
    await sleep(50);
  }
  const seconds = (performance.now() - began) / 1000;
  const events = Number(sql(database, "SELECT count(*) FROM bench.event"));
  const [paid, burned] = sql(database, "SELECT sum(paid), sum(burned) FROM bench.customer").split("|");
  await stop(child);
  sql("postgres", `DROP DATABASE ${database} WITH (FORCE)`);
  return { events, paid, burned, seconds };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

try {
  const contract = await chain();
  postgres();
  const times = { depin: [], raw: [], ponder: [] };
  for (let round = 0; round < rounds; round++) {
    const turns = [() => depin(contract, round), () => ponder(contract, round)];
    const names = ["depin", "ponder"];
    const found = {};
    for (const turn of round % 2 ? [1, 0] : [0, 1]) found[names[turn]] = await turns[turn]();
    for (const key of ["events", "paid", "burned"]) {
      if (String(found.depin[key]) !== String(found.ponder[key])) {
        throw new Error(`${key}: depin has ${found.depin[key]}, ponder ${found.ponder[key]}`);
      }
    }
    if (found.depin.events !== logs) throw new Error(`${found.depin.events} of ${logs} logs were indexed`);
    times.depin.push(found.depin.seconds);
    times.raw.push(found.depin.raw);
    times.ponder.push(found.ponder.seconds);
    console.log(`round ${round + 1}: depin-index ${found.depin.seconds.toFixed(2)} s, ponder ${found.ponder.seconds.toFixed(2)} s, raw SQLite ${found.depin.raw.toFixed(2)} s`);
  }
  const rate = (name) => logs / median(times[name]);
  const source = await limit(contract);
  const line = (name, perSecond) => console.log(`${name.padEnd(34)} ${Math.round(perSecond).toLocaleString("en").padStart(10)} events/s`);
  line("eth_getLogs alone, unread", source);
  line("raw SQLite inserts of the events", rate("raw"));
  line("depin-index", rate("depin"));
  line("ponder 0.16.10", rate("ponder"));
  console.log(`depin-index / ponder      ${(rate("depin") / rate("ponder")).toFixed(1)} (at least 5)`);
  console.log(`depin-index / raw SQLite  ${(rate("depin") / rate("raw")).toFixed(2)} (at least 0.6)`);
  console.log(`depin-index / eth_getLogs ${(rate("depin") / source).toFixed(2)}`);
} finally {
  await Promise.all(children.map(stop));
  rmSync(work, { recursive: true, force: true });
}
