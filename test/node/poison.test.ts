import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { writeWatermark } from "../../actors/fold/journal.ts";
import { controlSubject } from "../../actors/fold/subject.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { type EventPayload, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { storedOutputs } from "../../runtime/replay/stored-history.ts";
import { assertEqualsFreshFold, PARTITIONS } from "../support/crash-run.ts";
import { cloudEvent, type ReadOutput, readOutputs, T0 } from "../support/entries.ts";
import { startTestNats } from "../support/nats.ts";
import job from "../support/poison.ts";
import { RestartingNode } from "../support/restarting-node.ts";

const APP = new URL("../support/poison.ts", import.meta.url).pathname;
const KEYS = ["a", "b", "c", "d"];

/** Polls until the job has so many outputs in all partitions. */
async function untilOutputs(nc: NatsConnection, count: number): Promise<ReadOutput[]> {
  for (;;) {
    const outputs: ReadOutput[] = [];
    for (let partition = 0; partition < PARTITIONS; partition++) {
      outputs.push(...readOutputs(await storedOutputs(nc, job.name, partition).catch(() => [])));
    }
    if (outputs.length >= count) return outputs;
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
}

/** A node fed with harmless events around one that is not; gives its outputs once all are there. */
async function poisoned(t: TestContext, act: string, expected: number) {
  const nats = await startTestNats(t, { logs: [job.log] });
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-poison-"));
  const nc = await connect({ servers: nats.url });
  const node = new RestartingNode({ app: APP, natsUrl: nats.url, dataDir, env: { TIDEMARK_HANG_AFTER: "1s", TIDEMARK_WORKERS: "1" } });
  t.after(async () => {
    await node.stop();
    await nc.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  await node.apiUrl();
  const publisher = openLogPublisher(nc, job.log, (await readSlotMap(nc, job.log))!);
  let id = 0;
  const send = (key: string, what: string) => {
    const event = cloudEvent({ id: String(++id), key, type: "poison.dose", time: T0, data: { act: what } });
    return publisher.publish(key, event as EventPayload);
  };
  for (const key of KEYS) await send(key, "say");
  await send("a", act);
  for (const key of KEYS) await send(key, "say");
  if (act === "arm") {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const log = new NatsPartitionLog(nc, job.log, partition);
      await log.append(controlSubject(job.log, partition), Buffer.from(writeWatermark(formatInstant(T0 + 1))));
    }
    for (const key of KEYS) await send(key, "say");
  }
  publisher.close();
  return { nc, node, outputs: await untilOutputs(nc, expected) };
}

suite("one poisonous event, and its key and partition go on", () => {
  const ACTS = { loop: "a handler that never returns", kill: "a handler that kills its process" } as const;
  for (const [act, name] of Object.entries(ACTS)) {
    test(`${name} ends in a skip and one dead letter`, { timeout: 120_000 }, async (t) => {
      const { nc, node, outputs } = await poisoned(t, act, KEYS.length * 2 + 1);
      const letters = outputs.filter(({ type }) => type === "tidemark.dead-letter");
      assert.deepEqual(
        letters.map(({ subject, data }) => [subject, (data.error as { readonly code: string }).code, data.eventId]),
        [["a", "SKIPPED", "5"]],
      );
      const said = outputs.filter(({ type }) => type === "poison.said").map(({ data }) => data.key as string);
      assert.deepEqual(said.sort(), [...KEYS, ...KEYS].sort());
      assert(node.deaths >= 4 && node.deaths <= 6, `${node.deaths} deaths`);
      assert.equal(await assertEqualsFreshFold(nc, job), outputs.length);
      t.diagnostic(`${node.deaths} deaths`);
    });
  }

  test("a timer's handler that kills its process is skipped, and no other timer or event", { timeout: 120_000 }, async (t) => {
    const { nc, node, outputs } = await poisoned(t, "arm", KEYS.length * 3 + 2);
    const letters = outputs.filter(({ type }) => type === "tidemark.dead-letter");
    assert.deepEqual(
      letters.map(({ data }) => [(data.error as { readonly code: string }).code, (data.timer as { readonly name: string }).name]),
      [["SKIPPED", "deadly"]],
    );
    assert(node.deaths >= 4 && node.deaths <= 6, `${node.deaths} deaths`);
    assert.equal(await assertEqualsFreshFold(nc, job), outputs.length);
  });
});
