// What the contracts say at a block, read with ethers: the judge for what the page shows.
import { Contract, JsonRpcProvider, Wallet, ZeroHash } from "ethers";

const CANDIDATE = "tuple(bytes32 root, uint256 total, uint256 revenue, bytes32 bundleDigest, uint64 bundleLength, bytes32 journalRoot, uint64 journalSize, bytes32 previousDigest)";
const DISTRIBUTOR = [
  "function epochState(uint256 epoch) view returns (tuple(uint8 status, uint32 round, uint32 generation, uint8 voids, bool lastRound, uint64 openedAt, uint64 contestedAt, uint64 deadline, bytes32 leading))",
  `function candidate(bytes32 id) view returns (${CANDIDATE})`,
  "function finalRoot(uint256 epoch) view returns (bytes32)",
  "function challengeBond() view returns (uint256)",
  "function challenge(uint256 epoch, bytes32 id)",
  "function timeout(uint256 epoch)",
  "event Claimed(uint256 indexed epoch, address indexed account, uint256 amount)",
  `event RootProposed(uint256 indexed epoch, bytes32 indexed candidateId, address indexed proposer, ${CANDIDATE} candidate)`,
];
const TOKEN = ["function approve(address spender, uint256 amount)"];
const FINAL = 4n;

/** The contracts that a node names, on the chain at `url`. */
export async function contracts(url, network) {
  const provider = new JsonRpcProvider(url, network.params.chain_id, { staticNetwork: true });
  const distributor = new Contract(network.contracts.distributor, DISTRIBUTOR, provider);
  /** What was claimed up to `block`, by owner in lower case. */
  const claimed = async (block) => {
    const sums = new Map();
    for (const { args } of await distributor.queryFilter("Claimed", 0, block)) {
      const account = args.account.toLowerCase();
      sums.set(account, (sums.get(account) ?? 0n) + args.amount);
    }
    return sums;
  };
  /** What stands for an epoch at `block`; null before anything was proposed. */
  const epoch = async (number, block) => {
    const at = { blockTag: block };
    const { status, leading } = await distributor.epochState(number, at);
    if (leading === ZeroHash) return null;
    const { root, total, revenue, bundleDigest } = await distributor.candidate(leading, at);
    return { final: status === FINAL, root, total, revenue, digest: bundleDigest, finalRoot: await distributor.finalRoot(number, at) };
  };
  return { claimed, epoch, stop: () => provider.destroy() };
}

/** Somebody who disputes roots, and pays the bonds with the wallet of `key`. */
export async function challenger(url, network, key) {
  const provider = new JsonRpcProvider(url, network.params.chain_id, { staticNetwork: true, pollingInterval: 100 });
  const wallet = new Wallet(key, provider);
  const distributor = new Contract(network.contracts.distributor, DISTRIBUTOR, wallet);
  const send = async (sent) => (await sent).wait();
  const bond = await distributor.challengeBond();
  await send(new Contract(network.contracts.token, TOKEN, wallet).approve(network.contracts.distributor, 10n * bond));
  return {
    challenge: async (epoch) => send(distributor.challenge(epoch, (await distributor.epochState(epoch)).leading)),
    timeout: async (epoch) => send(distributor.timeout(epoch)),
    stop: () => provider.destroy(),
  };
}
