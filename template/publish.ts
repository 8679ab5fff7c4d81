/**
 * Publishes one order as any NATS client can: to `<log>.<key>`, and awaits the answer, which says where it is stored.
 * An event published twice is applied once, by its key, source and id: so what was not answered is published again.
 */
import { connect } from "@nats-io/transport-node";

const [server = "nats://127.0.0.1:4222", customer = "dave", amount = "1200", time = "2026-03-01T09:45:00Z"] = process.argv.slice(2);
// A time near those of orders.ndjson: an order of today would let days pass, and these customers start over. Behind an order
// of a later day this one is late; give it a time of that day.
const order = {
  specversion: "1.0",
  id: crypto.randomUUID(),
  source: "/shop",
  type: "order.placed",
  subject: customer,
  time,
  data: { amount: Number(amount) },
};

const nc = await connect({ servers: server }).catch((error: unknown) => give(error, "Give the address that npm run dev prints."));
const subject = `orders.${customer}`;
const stored = await nc
  .request(subject, JSON.stringify(order))
  .catch((error: unknown) =>
    give(error, `No log takes ${subject} there. Start the job, with npm run dev; a server of your own needs the mapping in README.md too.`),
  );
console.log(stored.string());
await nc.close();

function give(error: unknown, advice: string): never {
  console.error(`${server}: ${error instanceof Error ? error.message : error}. ${advice}`);
  process.exit(1);
}
