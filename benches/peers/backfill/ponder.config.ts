import { createConfig } from "ponder";
import { PaymentsAbi } from "./abi";

export default createConfig({
  database: { kind: "postgres", connectionString: process.env.DATABASE_URL },
  chains: { local: { id: Number(process.env.CHAIN_ID), rpc: process.env.RPC_URL, disableCache: true } },
  contracts: {
    Payments: { abi: PaymentsAbi, chain: "local", address: process.env.CONTRACT as `0x${string}`, startBlock: 0 },
  },
});
