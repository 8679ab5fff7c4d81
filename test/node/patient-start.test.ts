import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { NatsConnection } from "@nats-io/transport-node";
import meter from "../../actors/meter/meter.ts";
import { type ErrorCode, TidemarkError } from "../../runtime/errors.ts";
import { askApi } from "../../runtime/log/jetstream-api.ts";
import { ensureLogStreams } from "../../runtime/log/log-streams.ts";
import { SINGLE } from "../../runtime/log/replication.ts";
import { openSlotMap } from "../../runtime/log/slot-map.ts";
import { connectNats } from "../../runtime/nats-connect.ts";
import { ShardHost } from "../../runtime/shard/shard-host.ts";
import { SkipList } from "../../runtime/shard/skips.ts";
import { NO_SNAPSHOTS, type SnapshotSource } from "../../runtime/snapshots/snapshot-source.ts";
import { startTestNats, type TestNats } from "../support/nats.ts";
import { memoryResults } from "../support/result-places.ts";

test("a shard that starts while NATS or the place of the snapshots is away waits for it", async (t) => {
  let awayFor = 1;
  const { nats, host, start, waitsFor } = await hosting(t, async () => {
    if (awayFor-- > 0) throw new TidemarkError("SNAPSHOT_STORE", "s3://bucket: it does not answer.");
    return NO_SNAPSHOTS;
  });
  await nats.kill();
  start();
  await waitsFor("NATS_UNREACHABLE");
  assert.equal(host.reports()[0]?.status, "starting");
  await nats.restart();
  await waitsFor("SNAPSHOT_STORE");
  await running(host);
});

test("a shard that starts while its log cannot be found waits for it: without a leader it looks like none", async (t) => {
  const { nc, host, start, waitsFor, ensureLog } = await hosting(t, async () => NO_SNAPSHOTS);
  await askApi(nc, "STREAM.DELETE.meter-0", undefined);
  start();
  await waitsFor("LOG_MISSING");
  assert.equal(host.reports()[0]?.status, "starting");
  await ensureLog();
  await running(host);
});

interface Hosting {
  readonly nats: TestNats;
  readonly nc: NatsConnection;
  readonly host: ShardHost;
  readonly ensureLog: () => Promise<void>;
  readonly start: () => void;
  /** Resolves while its start waits for that. */
  readonly waitsFor: (code: ErrorCode) => Promise<void>;
}

async function hosting(t: TestContext, snapshots: () => Promise<SnapshotSource>): Promise<Hosting> {
  const nats = await startTestNats(t, { logs: ["meter"] });
  const folder = mkdtempSync(join(tmpdir(), "tidemark-patient-"));
  const nc = await connectNats({ url: nats.url }, "test");
  const { map } = await openSlotMap(nc, "meter", 1);
  const ensureLog = async (): Promise<void> => void (await ensureLogStreams(nc, "meter", map, { maxBytes: 1 << 30 }));
  await ensureLog();
  await SkipList.ensure(nc, "meter", SINGLE);
  const options = {
    nodeId: "n",
    profile: "development",
    codeHash: "c",
    streamMaxBytes: 1 << 30,
    replication: SINGLE,
    snapshots,
    results: memoryResults(),
  } as const;
  const host = new ShardHost(
    nc,
    options,
    () => {},
    () => {},
  );
  t.after(async () => {
    await host.drain();
    await nc.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const start = (): void => host.host(meter, { partition: 0, partitions: 1, folder: join(folder, "shard") }, [], "owner");
  const waitsFor = async (code: ErrorCode): Promise<void> => {
    for (let report = host.reports()[0]; report?.waitsFor?.code !== code; report = host.reports()[0]) {
      assert.equal(report?.error, undefined);
      await new Promise(setImmediate);
    }
  };
  return { nats, nc, host, ensureLog, start, waitsFor };
}

async function running(host: ShardHost): Promise<void> {
  while (host.reports()[0]?.status === "starting") await new Promise(setImmediate);
  assert.equal(host.reports()[0]?.status, "running");
}
