#!/usr/bin/env node
// Writes the ABI and creation bytecode of each contract from forge's `out/` to the folder that the Rust bindings read.
//
//   node export.mjs           writes
//   node export.mjs --check   writes nothing, names every file that differs from the build, and then exits 1
//
// Run `forge build` first. Who only uses Rust needs neither forge nor Node: the written files are committed.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const crate = join(here, "..", "crates", "depin-evm");
// Where the artifact of each contract goes. What only tests deploy is no part of the crate.
const CONTRACTS = [
  ...["NetworkToken", "ServiceCredits", "DeviceRegistry", "RewardDistributor", "Bond"].map((name) => [name, "artifacts"]),
  ["EthereumDIDRegistry", "tests/artifacts"],
];

function artifact(contract) {
  const path = join(here, "out", `${contract}.sol`, `${contract}.json`);
  let built;
  try {
    built = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new Error(`${path}: ${error.message}; run \`forge build\` first`);
  }
  const bytecode = built.bytecode.object;
  if (!/^0x([0-9a-f]{2})+$/.test(bytecode)) throw new Error(`${path}: the bytecode is not linked hex`);
  return JSON.stringify({ contract, abi: built.abi, bytecode }, null, 2) + "\n";
}

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

const check = process.argv.slice(2).includes("--check");
let stale = 0;
for (const [contract, folder] of CONTRACTS) {
  const path = join(crate, folder, `${contract}.json`);
  if (!check) mkdirSync(dirname(path), { recursive: true });
  const expected = artifact(contract);
  if (read(path) === expected) continue;
  if (check) {
    stale += 1;
    console.error(`${relative(process.cwd(), path)} differs from the build; run \`npm run export\``);
  } else {
    writeFileSync(path, expected);
    console.log(`wrote ${relative(process.cwd(), path)}`);
  }
}
process.exit(stale === 0 ? 0 : 1);
