// Builds the same claim tree with depin-rewards and with OpenZeppelin's library, in one run: the roots must be equal, a thousand
// proofs made by ours must verify with theirs, and ours must be at least 250 times as fast.
//
//   npm ci && node compare.mjs [ACCOUNTS]
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { StandardMerkleTree } from "@openzeppelin/merkle-tree";
import { keccak256 } from "ethereum-cryptography/keccak.js";
import { bytesToHex, utf8ToBytes } from "ethereum-cryptography/utils.js";

const GOAL = 250;
const PROOFS = 1000;
const ENCODING = ["address", "uint256"];
const accounts = Number(process.argv[2] ?? 1_000_000);
const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

// The generator of the Rust example: address = keccak256("acct" || i)[12..], amount = (i + 1) * 1000000007 * 10^9.
const values = Array.from({ length: accounts }, (_, i) => [
  "0x" + bytesToHex(keccak256(utf8ToBytes("acct" + i)).slice(12)),
  String((BigInt(i) + 1n) * 1000000007n * 10n ** 9n),
]);

const folder = mkdtempSync(join(tmpdir(), "claim-tree-"));
const file = join(folder, "proofs.json");
const cargo = ["run", "--quiet", "--release", "-p", "depin-rewards", "--example", "claim_tree_million", "--"];
const ours = JSON.parse(execFileSync("cargo", [...cargo, String(accounts), file], { cwd: root, encoding: "utf8" }));
const proofs = JSON.parse(readFileSync(file, "utf8"));
rmSync(folder, { recursive: true });

const start = performance.now();
const theirs = StandardMerkleTree.of(values, ENCODING);
const theirMs = performance.now() - start;

const verified = proofs.filter(([account, amount, proof]) =>
  StandardMerkleTree.verify(theirs.root, ENCODING, [account, amount], proof),
).length;
const ratio = theirMs / ours.build_ms;
const report = {
  accounts,
  root: theirs.root,
  root_equal: ours.root === theirs.root,
  proofs_verified: verified,
  depin_ms: ours.build_ms,
  openzeppelin_ms: Math.round(theirMs),
  ratio: Math.round(ratio),
};
console.log(JSON.stringify(report));

const right = report.root_equal && verified === PROOFS && proofs.length === PROOFS;
if (!right) console.error("the trees differ: depin-rewards is wrong");
if (ratio < GOAL) console.error(`only ${ratio.toFixed(0)} times as fast; the goal is ${GOAL}`);
process.exit(right && ratio >= GOAL ? 0 : 1);
