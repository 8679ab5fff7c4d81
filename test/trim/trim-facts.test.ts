/** A trim relies on no snapshot that its shards could not go on from. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { writeEpoch } from "../../actors/fold/journal.ts";
import { STATE_FORMAT } from "../../actors/fold/meta.ts";
import meter from "../../actors/meter/meter.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import type { RunningJob } from "../../runtime/node/node.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import type { ShardManifest } from "../../runtime/snapshots/manifest.ts";
import { gatherTrimFacts, type TrimWorld } from "../../runtime/trim/trim-facts.ts";
import { cloudEvent, identityFor } from "../support/entries.ts";
import { startTestNats } from "../support/nats.ts";

const EPOCH = "meter.p0.j.meter.epoch";

test("a snapshot of a void history, another format, log or map is none to rely on", { timeout: 60_000 }, async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const log = new NatsPartitionLog(nc, "meter", 0);
  const jsm = await jetstreamManager(nc);
  await jsm.streams.add({ name: log.stream, subjects: ["meter.>"] });
  const identity = identityFor(meter);
  const publish = async (id: string) => await log.append("meter.1.e.x", Buffer.from(JSON.stringify(cloudEvent({ id }))));
  await log.append(EPOCH, Buffer.from(writeEpoch(identity, 0, 1)));
  for (let i = 0; i < 5; i++) await publish(`e${i}`);
  const root = await log.append(EPOCH, Buffer.from(writeEpoch({ ...identity, codeHash: "edited" }, 1, 1)));
  for (let i = 0; i < 5; i++) await publish(`f${i}`);
  const fit = {
    shard: 0,
    takenAt: 0,
    cursor: { sequence: 5, index: 0, phase: "start" },
    last: { sequence: 4, index: 0 },
    processingTime: 0,
    outputs: 3,
    epochRoot: root,
    stateFormat: STATE_FORMAT,
    log: "meter",
    partitions: 1,
  } as unknown as ShardManifest;
  const snapshotsOf = async (shard: ShardManifest): Promise<number> => {
    const world = {
      nc,
      jobs: [{ job: meter, map: { partitions: 1 } } as unknown as RunningJob],
      snapshots: { list: async () => ({ snapshots: [{ id: "meter.one" }] }), get: async () => ({ shards: [shard] }) },
      shards: async (): Promise<readonly ShardReport[]> => [],
      now: () => Date.now(),
    } as unknown as TrimWorld;
    const map = { partitions: 1 } as never;
    const facts = await gatherTrimFacts(world, { log: "meter", map, keepMs: 0, outputs: false, without: [] });
    return facts.partitions[0]!.jobs[0]!.snapshots.length;
  };
  assert.equal(await snapshotsOf(fit), 1);
  const unfit: Partial<ShardManifest>[] = [{ epochRoot: 1 }, { stateFormat: STATE_FORMAT + 1 }, { log: "other" }, { partitions: 7 }];
  for (const change of unfit) assert.equal(await snapshotsOf({ ...fit, ...change }), 0, JSON.stringify(change));
  // Behind a trim the root is gone, and with it what could be told: a root that the log still has room for is none.
  await log.append(EPOCH, Buffer.from(writeEpoch({ ...identity, codeHash: "edited" }, root, undefined)));
  await jsm.streams.purge(log.stream, { seq: root + 2 });
  assert.equal(await snapshotsOf(fit), 1);
  assert.equal(await snapshotsOf({ ...fit, epochRoot: root + 3 }), 0);
});
