export const PaymentsAbi = [
  {
    type: "event",
    name: "Paid",
    inputs: [
      { name: "customer", type: "address", indexed: true },
      { name: "payer", type: "address", indexed: true },
      { name: "amount", type: "uint256" },
      { name: "burned", type: "uint256" },
    ],
  },
] as const;
