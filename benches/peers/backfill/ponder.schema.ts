import { onchainTable } from "ponder";

// The same as the index keeps of a payment: the event, and what each customer paid.
export const event = onchainTable("event", (t) => ({
  id: t.text().primaryKey(),
  block: t.bigint().notNull(),
  customer: t.hex().notNull(),
  amount: t.bigint().notNull(),
  burned: t.bigint().notNull(),
}));

export const customer = onchainTable("customer", (t) => ({
  address: t.hex().primaryKey(),
  paid: t.bigint().notNull(),
  burned: t.bigint().notNull(),
  payments: t.integer().notNull(),
}));
