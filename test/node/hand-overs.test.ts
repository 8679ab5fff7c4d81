/** Two builds ask to follow at the same moment: one of them follows in all partitions, and the other in none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { writeEpoch } from "../../actors/fold/journal.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import { epochSubject } from "../../actors/fold/subject.ts";
import meter from "../../actors/meter/meter.ts";
import { systemClock } from "../../runtime/clock.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { type BuildStep, HandOvers } from "../../runtime/node/hand-overs.ts";
import { Operations } from "../../runtime/node/operations.ts";
import { identityFor } from "../support/entries.ts";
import { startTestNats } from "../support/nats.ts";

test("of two builds that ask at the same moment one is refused, and who was refused or ended is in nobody's way", {
  timeout: 60_000,
}, async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const log = new NatsPartitionLog(nc, "meter", 0);
  await (await jetstreamManager(nc)).streams.add({ name: log.stream, subjects: ["meter.>"] });
  const own = identityFor(meter);
  await log.append(epochSubject("meter", 0, "meter"), Buffer.from(writeEpoch(own, 0, 1)));
  const next = (version: number): CodeIdentity => ({ ...own, version: own.version + version, codeHash: `build ${version}` });
  const asked: CodeIdentity[] = [];
  const operations = new Operations(systemClock);
  const handOvers = new HandOvers({
    nc,
    clock: systemClock,
    operations,
    builds: [{ job: "meter", log: "meter", partitions: 1, identity: own }],
    ask: async (_job, { next: build }) => void asked.push(build),
    reports: async () => asked.map((build) => ({ job: "meter", shard: 0, state: "handed-over", lag: 0, next: build, here: true })),
    shards: async () => [],
    lineage: (job) => [job],
    rolling: false,
    snapshot: async () => [],
  });
  const begin = (version: number) => handOvers.begin([{ job: "meter", log: "meter", identity: next(version) }], "test");
  const both = await Promise.allSettled([begin(1), begin(2), begin(1)]);
  assert.deepEqual(
    both.map((one) => (one.status === "fulfilled" ? "begun" : isTidemarkError(one.reason) && one.reason.code)),
    ["begun", "CODE_UNAVAILABLE", "begun"],
  );
  for (const one of both) if (one.status === "fulfilled") await operations.ended(one.value.id);
  assert.deepEqual(new Set(asked.map(({ codeHash }) => codeHash)), new Set(["build 1"]));
  await operations.ended((await begin(2)).id);
  assert.equal(asked.at(-1)!.codeHash, "build 2");
});

for (const rolling of [true, false]) {
  test(`of two builds that two nodes are asked for at the same moment one follows everywhere, ${rolling ? "in turn" : "at once"}`, {
    timeout: 60_000,
  }, async (t) => {
    const nats = await startTestNats(t);
    const nc = await connect({ servers: nats.url });
    t.after(() => nc.close());
    const logs = [0, 1, 2].map((partition) => new NatsPartitionLog(nc, "meter", partition));
    const manager = await jetstreamManager(nc);
    for (const [partition, { stream }] of logs.entries()) await manager.streams.add({ name: stream, subjects: [`meter.p${partition}.>`] });
    const first = identityFor(meter);
    const next = (version: number): CodeIdentity => ({ ...first, version: first.version + version, codeHash: `build ${version}` });
    const append = (partition: number, build: CodeIdentity, last: number) =>
      logs[partition]!.append(epochSubject("meter", partition, "meter"), Buffer.from(writeEpoch(build, last, last === 0 ? 1 : undefined)));
    const folds = logs.map(() => first);
    for (const partition of logs.keys()) await append(partition, first, 0);
    const over: { readonly shard: number; readonly next: CodeIdentity }[] = [];
    // Owners that take their time, the later ones less than the first.
    const ask = async (_job: string, { from, next: build }: BuildStep, shards: readonly number[]): Promise<void> => {
      for (const shard of shards) {
        await new Promise((resolve) => setTimeout(resolve, 30 - 10 * shard));
        if (folds[shard]!.codeHash !== from.codeHash) continue;
        folds[shard] = build;
        over.push({ shard, next: build });
        await append(shard, build, (await logs[shard]!.lastOn(epochSubject("meter", shard, "meter")))!.sequence);
      }
    };
    const asked = [1, 2].map(async (version) => {
      const operations = new Operations(systemClock);
      const handOvers = new HandOvers({
        nc,
        clock: systemClock,
        operations,
        builds: [{ job: "meter", log: "meter", partitions: logs.length, identity: rolling ? next(version) : first }],
        ask,
        reports: async () => (rolling ? [] : over.map((one) => ({ job: "meter", state: "handed-over", lag: 0, here: true, ...one }))),
        shards: async () => folds.map((build, shard) => ({ job: "meter", shard, status: "running", build })),
        lineage: (job) => [job],
        rolling,
        snapshot: async () => [],
      });
      return await operations.ended((await handOvers.begin([{ job: "meter", log: "meter", identity: next(version) }], "test")).id);
    });
    const ended = await Promise.all(asked);
    const failed = ended.find((one) => one?.status === "failed");
    assert.deepEqual(new Set(ended.map((one) => one?.status)), new Set(["succeeded", "failed"]));
    assert.equal(failed?.error?.code, "CODE_UNAVAILABLE");
    assert.equal(over.length, logs.length);
    assert.equal(new Set(folds.map(({ codeHash }) => codeHash)).size, 1);
  });
}
