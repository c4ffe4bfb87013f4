// Takes what an owner can claim from a node's REST API and submits it with ethers: the node is asked for amounts and proofs, and trusted
// for neither. Amounts are bigint throughout.
//
//   CLAIM_KEY=0x… node claim.mjs NODE_URL OWNER
//
// CLAIM_KEY is the key that pays the gas; anybody may claim for anybody. CHAIN_URL overrides the chain the node names.
// Exit codes: 0 when the balance rose by exactly what was claimed, 1 otherwise, 2 for a wrong command line.

import process from "node:process";
import { StandardMerkleTree } from "@openzeppelin/merkle-tree";
import { Contract, JsonRpcProvider, Wallet, ZeroHash, getAddress, isAddress } from "ethers";

const DISTRIBUTOR = [
  "function claim((uint256 epoch, address account, uint256 amount, bytes32[] proof)[] claims)",
  "function finalRoot(uint256 epoch) view returns (bytes32)",
  "function isClaimed(uint256 epoch, address account) view returns (bool)",
];
const TOKEN = ["function balanceOf(address account) view returns (uint256)"];
/** What fits a transaction: some 80,000 gas each. */
const MOST_CLAIMS = 100;

class Failure extends Error {}

async function get(url) {
  let response;
  let body;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
    body = await response.json();
  } catch (error) {
    throw new Failure(`${url} does not answer as a node does: ${error.cause?.message ?? error.message}`);
  }
  if (!response.ok) throw new Failure(`${url}: ${body?.error?.message ?? response.status}`);
  return body;
}

/** Every payout of a final root that is still open, newest first. */
async function openClaims(node, owner) {
  const open = [];
  let cursor = "";
  do {
    const page = await get(`${node}/api/v1/claims/${owner}${cursor}`);
    open.push(...page.items.filter((claim) => claim.status === "final" && !claim.claimed));
    cursor = page.next === null ? null : `?cursor=${encodeURIComponent(page.next)}`;
  } while (cursor !== null && open.length < MOST_CLAIMS);
  return open.slice(0, MOST_CLAIMS).map(({ epoch, amount, proof }) => ({
    epoch: BigInt(epoch),
    account: owner,
    amount: decimal(amount),
    proof,
  }));
}

/** An amount is a string of digits: a JSON number would have been rounded before anybody could look at it. */
function decimal(text) {
  if (typeof text !== "string" || !/^[0-9]+$/.test(text)) throw new Failure(`${JSON.stringify(text)} is no amount`);
  return BigInt(text);
}

/** Checks a proof against the root that is final on chain, before gas is spent on it. */
async function check(distributor, { epoch, account, amount, proof }) {
  const root = await distributor.finalRoot(epoch);
  if (root === ZeroHash) throw new Failure(`epoch ${epoch} has no final root on chain`);
  if (!StandardMerkleTree.verify(root, ["address", "uint256"], [account, amount], proof)) {
    throw new Failure(`the proof of epoch ${epoch} does not lead to ${root}`);
  }
}

async function main() {
  const [node, owner] = process.argv.slice(2);
  const key = process.env.CLAIM_KEY;
  if (!node || !isAddress(owner) || !key) {
    console.error("usage: CLAIM_KEY=0x… node claim.mjs NODE_URL OWNER");
    return 2;
  }
  const base = node.replace(/\/+$/, "");
  const account = getAddress(owner);
  const { params, contracts, rpc } = await get(`${base}/api/v1/network`);
  const url = process.env.CHAIN_URL ?? rpc;
  if (!url) throw new Failure("the node names no chain; set CHAIN_URL");
  const provider = new JsonRpcProvider(url, params.chain_id);
  const { chainId } = await provider.getNetwork();
  if (chainId !== BigInt(params.chain_id)) throw new Failure(`${url} is chain ${chainId}, expected ${params.chain_id}`);
  const distributor = new Contract(contracts.distributor, DISTRIBUTOR, new Wallet(key, provider));
  const token = new Contract(contracts.token, TOKEN, provider);

  // The index may lag behind the chain.
  const listed = await openClaims(base, account);
  const taken = await Promise.all(listed.map((claim) => distributor.isClaimed(claim.epoch, account)));
  const claims = listed.filter((_, at) => !taken[at]);
  if (claims.length === 0) throw new Failure(`there is nothing to claim for ${account}`);
  for (const claim of claims) await check(distributor, claim);
  const expected = claims.reduce((sum, claim) => sum + claim.amount, 0n);

  const before = await token.balanceOf(account);
  const receipt = await (await distributor.claim(claims)).wait();
  const after = await token.balanceOf(account, { blockTag: receipt.blockNumber });
  provider.destroy();
  const epochs = claims.map((claim) => claim.epoch.toString());
  console.log(JSON.stringify({
    owner: account,
    epochs,
    claimed: expected.toString(),
    before: before.toString(),
    after: after.toString(),
    transaction: receipt.hash,
  }));
  if (after - before !== expected) throw new Failure(`the balance rose by ${after - before}, expected ${expected}`);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`error: ${error instanceof Failure ? error.message : (error.shortMessage ?? error.stack)}`);
  process.exitCode = 1;
}
// A provider that retries a chain that is gone would hold the process for ever.
process.exit();
