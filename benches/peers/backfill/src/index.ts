import { ponder } from "ponder:registry";
import { customer, event } from "ponder:schema";

ponder.on("Payments:Paid", async ({ event: log, context }) => {
  const { amount, burned } = log.args;
  await context.db
    .insert(event)
    .values({ id: log.id, block: log.block.number, customer: log.args.customer, amount, burned });
  await context.db
    .insert(customer)
    .values({ address: log.args.customer, paid: amount, burned, payments: 1 })
    .onConflictDoUpdate((row) => ({
      paid: row.paid + amount,
      burned: row.burned + burned,
      payments: row.payments + 1,
    }));
});
