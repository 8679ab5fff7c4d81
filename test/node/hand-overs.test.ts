/** Two builds ask to follow at the same moment: one of them is refused before anything is appended. */
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
import { HandOvers } from "../../runtime/node/hand-overs.ts";
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
    ask: async (_job, build) => void asked.push(build),
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
