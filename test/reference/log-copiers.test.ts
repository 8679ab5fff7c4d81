/** Copiers wait quietly for reference data of a log that has none yet. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { MemoryPartitionLog } from "../../runtime/log/memory-partition-log.ts";
import { LogCopiers } from "../../runtime/reference/log-copiers.ts";
import { NatsReferenceLog } from "../../runtime/reference/reference-log.ts";
import { startTestNats } from "../support/nats.ts";

const nats = await startTestNats({ after });
const nc = await connect({ servers: nats.url });
after(() => nc.close());

test("a log that never had a record of a table is told of neither while it runs nor when it stops", async () => {
  const notices: string[] = [];
  const copiers = new LogCopiers(nc, (message) => notices.push(message));
  const fold = { meta: { cursor: { sequence: 1 }, referenceSource: 0 } };
  const copier = copiers.start({ fold, parts: { job: { log: "quiet" }, partition: 0, log: new MemoryPartitionLog() } } as never);
  const stream = new NatsReferenceLog(nc, "quiet");
  // What a copier asked before is answered before.
  const heard = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) assert.equal(await stream.exists(), false);
  };
  await heard();
  copiers.stop();
  await heard();
  copier.stop();
  assert.deepEqual(notices, []);
});
