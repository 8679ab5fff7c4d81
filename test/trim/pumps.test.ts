/** Both ends of a pump are trimmed under a running node: the log that only the pump reads, and the one that it feeds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readPumpLink } from "../../actors/fold/pump-entry.ts";
import { pumpSubject } from "../../actors/fold/subject.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { startApiNode } from "../support/api-node.ts";
import { runOnTerminal } from "../support/cli-run.ts";
import { cloudEvent } from "../support/entries.ts";
import { getJson, untilShards } from "../support/node-process.ts";

const PARTITIONS = [0, 1];

const { url, nc, nats } = await startApiNode("./pumped-app.ts", "pumped", { TIDEMARK_SNAPSHOT_EVERY: "0s" });
await nats.addLogs(["raw"]);

async function post(path: string, body: unknown, type = "application/json"): Promise<Response> {
  return await fetch(`${url}${path}`, { method: "POST", headers: { "content-type": type }, body: JSON.stringify(body) });
}

/** Each event reaches the job once, however often it was read. */
async function publish(from: number, count: number): Promise<void> {
  const events = Array.from({ length: count }, (_, i) => {
    const n = from + i;
    return cloudEvent({ id: `e${n}`, key: `phone-${n}`, type: "said", data: { by: `p${n % 6}`, text: n === 3 ? "" : `t${n}` } });
  });
  assert.equal((await post("/v1/logs/raw/events", events, "application/cloudevents-batch+json")).status, 200);
  await untilShards(
    url,
    (shards) =>
      shards.reduce((sum, { counts }) => sum + (counts.in ?? 0), 0) >= from + count &&
      shards.every(({ lag, pumps = [] }) => lag === 0 && pumps.every((pump) => pump.lag === 0)),
  );
}

/** By source partition: where the pump would begin again. */
async function nextOf(source: number): Promise<number> {
  const lasts = PARTITIONS.map(async (target) => {
    const last = await new NatsPartitionLog(nc, "pumped", target).lastOn(pumpSubject("pumped", target, "raw", source));
    return readPumpLink(last?.headers)!.next.sequence;
  });
  return Math.min(...(await Promise.all(lasts)));
}

async function ended(answer: Response): Promise<void> {
  let operation = (await answer.json()) as { readonly id: string; readonly status: string };
  while (operation.status === "running") operation = await getJson(`${url}/v1/operations/${operation.id}`);
  assert.equal(operation.status, "succeeded", JSON.stringify(operation));
}

test("a pump goes on behind both cuts, and each event has come once", { timeout: 300_000 }, async () => {
  // One after the other, for a pump writes what waits in one message.
  for (let from = 0; from < 40; from += 10) await publish(from, 10);
  await ended(await post("/v1/snapshots", {}));
  await publish(40, 10);

  const dry = await runOnTerminal(["trim", "pumped", "--keep", "0s", "--dry-run", "--url", url]);
  assert.equal(dry.code, 0, dry.stderr);
  assert.match(dry.stdout, /messages would go/);
  const { items } = await getJson<{ items: { id: string }[] }>(`${url}/v1/dead-letters`);
  assert.match(dry.stdout, new RegExp(`pumped: dead letters that cannot be put back any more: 1 \\(${items[0]!.id}\\)`));

  for (const log of ["pumped", "raw"]) await ended(await post(`/v1/logs/${log}/trim`, { keep: "0s" }));
  for (const source of PARTITIONS) {
    const { firstSequence } = await new NatsPartitionLog(nc, "raw", source).bounds();
    assert(firstSequence > 1 && firstSequence <= (await nextOf(source)), `raw-${source} begins at ${firstSequence}`);
    const { firstSequence: first } = await new NatsPartitionLog(nc, "pumped", source).bounds();
    for (const target of PARTITIONS) {
      const mark = await new NatsPartitionLog(nc, "pumped", target).lastOn(pumpSubject("pumped", target, "raw", source));
      assert(mark !== undefined, `the last message of the pump of raw-${source} in pumped-${target} is gone`);
    }
    assert(first > 1);
  }

  await nats.restart();
  await publish(50, 10);
  const { items: shards } = await getJson<{ items: { counts: Record<string, number> }[] }>(`${url}/v1/shards`);
  const sum = (name: string): number => shards.reduce((all, { counts }) => all + counts[name]!, 0);
  assert.deepEqual([sum("applied") + sum("deadLettered"), sum("duplicate")], [60, 0]);
});
