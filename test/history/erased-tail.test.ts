/** A fold into the past comes to its end where the last entries of the log were erased one by one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import meter from "../../actors/meter/meter.ts";
import { slotOf } from "../../actors/model/key.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { cloudEvent } from "../support/entries.ts";
import { startTestNats } from "../support/nats.ts";
import { openPast } from "../support/past-world.ts";

test("a step ends at an erased tail, and before an erased end", { timeout: 60_000 }, async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const manager = await jetstreamManager(nc);
  await manager.streams.add({ name: "meter-0", subjects: ["meter.>"] });
  const log = new NatsPartitionLog(nc, "meter", 0);
  for (let i = 1; i <= 6; i++) await log.append(`meter.${slotOf("d1")}.e.d1`, Buffer.from(JSON.stringify(cloudEvent({ id: `e${i}` }))));
  const target = { kind: "position", sequence: Number.MAX_SAFE_INTEGER, index: 0 } as const;
  const bounds = { entriesMax: 20_000, msMax: 30_000 };

  await manager.streams.deleteMessage("meter-0", 5);
  const before = await openPast(meter, log);
  assert.equal(await before.step(target, { ...bounds, end: 6 }), "end");
  assert.equal(before.meta.cursor.sequence, 5);

  await manager.streams.deleteMessage("meter-0", 6);
  assert.equal((await log.bounds()).lastSequence, 6);
  const behind = await openPast(meter, log);
  assert.equal(await behind.step(target, { ...bounds, end: 7 }), "end");
  assert.equal(behind.meta.cursor.sequence, 5);
});
