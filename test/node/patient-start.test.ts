import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import meter from "../../actors/meter/meter.ts";
import { TidemarkError } from "../../runtime/errors.ts";
import { ensureLogStreams } from "../../runtime/log/log-streams.ts";
import { SINGLE } from "../../runtime/log/replication.ts";
import { openSlotMap } from "../../runtime/log/slot-map.ts";
import { connectNats } from "../../runtime/nats-connect.ts";
import { ShardHost } from "../../runtime/shard/shard-host.ts";
import { SkipList } from "../../runtime/shard/skips.ts";
import { NO_SNAPSHOTS } from "../../runtime/snapshots/snapshot-source.ts";
import { startTestNats } from "../support/nats.ts";
import { memoryResults } from "../support/result-places.ts";

test("a shard that starts while NATS or the place of the snapshots is away waits for it", async (t) => {
  const nats = await startTestNats(t, { logs: ["meter"] });
  const folder = mkdtempSync(join(tmpdir(), "tidemark-patient-"));
  const nc = await connectNats({ url: nats.url }, "test");
  const { map } = await openSlotMap(nc, "meter", 1);
  await ensureLogStreams(nc, "meter", map, { maxBytes: 1 << 30 });
  await SkipList.ensure(nc, "meter", SINGLE);
  let waits: () => void = () => {};
  const waiting = new Promise<void>((resolve) => {
    waits = resolve;
  });
  let awayFor = 1;
  const options = {
    nodeId: "n",
    profile: "development",
    codeHash: "c",
    streamMaxBytes: 1 << 30,
    replication: SINGLE,
    snapshots: async () => {
      if (awayFor-- > 0) throw new TidemarkError("SNAPSHOT_STORE", "s3://bucket: it does not answer.");
      return NO_SNAPSHOTS;
    },
    results: memoryResults(),
  } as const;
  const host = new ShardHost(
    nc,
    options,
    () => {},
    (message) => {
      if (message.includes("waits: NATS_UNREACHABLE")) waits();
    },
  );
  t.after(async () => {
    await host.drain();
    await nc.close();
    rmSync(folder, { recursive: true, force: true });
  });
  await nats.kill();
  host.host(meter, { partition: 0, partitions: 1, folder: join(folder, "shard") }, [], "owner");
  await waiting;
  assert.equal(host.reports()[0]?.status, "starting");
  assert.equal(host.reports()[0]?.waitsFor?.code, "NATS_UNREACHABLE");
  await nats.restart();
  while (host.reports()[0]?.waitsFor?.code === "NATS_UNREACHABLE") await new Promise(setImmediate);
  assert.equal(host.reports()[0]?.waitsFor?.code, "SNAPSHOT_STORE");
  while (host.reports()[0]?.status === "starting") await new Promise(setImmediate);
  assert.equal(host.reports()[0]?.status, "running");
});
