import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { isTidemarkError } from "../../runtime/errors.ts";
import { MemoryPartitionLog } from "../../runtime/log/memory-partition-log.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { startTestNats } from "../support/nats.ts";
import { api, connectTo, createLog } from "./log-setup.ts";
import { partitionLogContract } from "./partition-log.contract.ts";

const nats = await startTestNats({ after });
const nc = await connectTo({ after }, nats.url);

suite("a partition log in memory", () => {
  partitionLogContract("memory", async (maxBytes) => {
    const log = new MemoryPartitionLog({ subjects: ["cases.1.>"], ...(maxBytes === undefined ? {} : { maxBytes }) });
    return { log, subject: "cases.1.e", foreign: "cases.2.e.x", trim: async (sequence) => log.trim(sequence) };
  });

  test("the log time is the clock that the test sets", async () => {
    const log = new MemoryPartitionLog();
    log.now = 1_700_000_000_000;
    await log.append("a", new Uint8Array(1));
    assert.equal(log.read(1).take(1)[0]!.logTime, 1_700_000_000_000);
  });

  test("a reader of a log that lost its tail waits; when the numbers are given again to other entries it fails", async () => {
    const log = new MemoryPartitionLog();
    for (let i = 0; i < 3; i++) await log.append("a", new Uint8Array(i));
    const reader = log.read(1);
    reader.take(3);
    log.truncate(1);
    assert.deepEqual(reader.take(1), []);
    assert.deepEqual(await log.bounds(), { firstSequence: 1, lastSequence: 1 });
    for (let i = 0; i < 3; i++) await log.append("a", new Uint8Array(9));
    assert.throws(
      () => reader.take(1),
      (e) => isTidemarkError(e, "LOG_TRUNCATED"),
    );
  });
});

suite("a partition log on JetStream", () => {
  let number = 0;

  partitionLogContract("JetStream", async (maxBytes) => {
    const name = `cases-${String.fromCharCode(97 + number++)}`;
    await createLog(nc, name, 1, maxBytes);
    const log = new NatsPartitionLog(nc, name, 0, { appendTries: 2 });
    const trim = async (sequence: number) => {
      await api(nc, `STREAM.PURGE.${log.stream}`, { seq: sequence + 1 });
    };
    return { log, subject: `${name}.1.e`, foreign: `${name}.nowhere`, trim };
  });

  test("bounds and reads of a log without a stream are LOG_MISSING", async () => {
    const log = new NatsPartitionLog(nc, "nothing", 0);
    await assert.rejects(log.bounds(), (e) => isTidemarkError(e, "LOG_MISSING"));
    await assert.rejects(log.lastOn("nothing.1.e.a"), (e) => isTidemarkError(e, "LOG_MISSING"));
  });
});
