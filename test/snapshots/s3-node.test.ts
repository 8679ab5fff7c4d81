/** A real node whose snapshots lie encrypted in S3: it loses its data directory, and its keys are changed. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { meterReadings } from "../../actors/meter/generate.ts";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { runPiped } from "../support/cli-run.ts";
import { METER } from "../support/crash-meter.ts";
import { assertEqualsFreshFold } from "../support/crash-run.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess, untilShards } from "../support/node-process.ts";
import { type S3Fault, startS3Server } from "../support/s3-server.ts";
import { temporaryFolder } from "./blob-places.ts";

test("a node begins from a snapshot in S3 that an older key encrypted, writes with the newer one, and halts without both", {
  timeout: 240_000,
}, async (t) => {
  const nats = await startTestNats(t, { logs: ["meter"] });
  const s3 = await startS3Server(t, { pageSize: 3 });
  const root = temporaryFolder(t);
  const [k1, k2] = ["k1", "k2"].map((id) => `${id}:${randomBytes(32).toString("base64")}\n`) as [string, string];
  const keys = join(root, "keys");
  const env = {
    TIDEMARK_SNAPSHOTS: `s3://${s3.bucket}/node`,
    TIDEMARK_S3_ENDPOINT: s3.url,
    TIDEMARK_SNAPSHOT_KEYS: keys,
    TIDEMARK_SNAPSHOT_EVERY: "1h",
    AWS_ACCESS_KEY_ID: s3.accessKey,
    AWS_SECRET_ACCESS_KEY: s3.secretKey,
  };
  const start = (lines: string): NodeProcess => {
    writeFileSync(keys, lines, { mode: 0o600 });
    return new NodeProcess({ app: METER.app, natsUrl: nats.url, dataDir: join(root, "data"), env });
  };
  const nc = await connect({ servers: nats.url });
  let node = start(k1);
  t.after(() => node.kill().then(() => nc.close()));
  let url = await node.ready;
  const publisher = openLogPublisher(nc, "meter", (await readSlotMap(nc, "meter"))!);
  t.after(async () => publisher.close());
  const lines = [...meterReadings({ seed: 9, devices: 20, events: 300, start: Date.UTC(2026, 4, 4) })];
  const publish = async (from: number, to: number): Promise<void> => {
    await Promise.all(lines.slice(from, to).map((line) => publisher.publish(METER.keyOf(line), METER.payloadOf(line))));
    await untilShards(url, (shards) => shards.reduce((sum, { counts }) => sum + (counts.in ?? 0), 0) >= to);
  };
  const snapshot = async (): Promise<void> => {
    const { code, stderr } = await runPiped(["snapshot", "create", "--url", url]);
    assert.deepEqual([code, stderr], [0, ""]);
  };
  /** Chunks and manifests of snapshots, and the kept build. */
  const blobs = (): number => s3.objects.size;
  /** Blobs by the key that their frame names. */
  const sealedBy = (id: string): number => {
    const frame = Buffer.from(`TMB\u0001\u0002${id}`);
    return [...s3.objects.values()].filter((bytes) => bytes.subarray(0, frame.length).equals(frame)).length;
  };

  await publish(0, 200);
  await snapshot();
  const before = blobs();
  assert.ok(before >= 2 * 2 + 1 && sealedBy("k1") === before);

  await node.kill();
  rmSync(join(root, "data"), { recursive: true });
  // More than the AWS SDK tries for itself: the shards wait and ask again.
  s3.faults.push(...Array<S3Fault>(12).fill("internalError"));
  node = start(k2 + k1);
  url = await node.ready;
  for (const { restored } of await untilShards(url, (shards) => shards.every(({ status }) => status === "running"))) assert.ok(restored);
  assert.match(node.log, /waits: SNAPSHOT_STORE/);
  await publish(200, 300);
  await snapshot();
  assert.ok(blobs() > before && sealedBy("k1") === before && sealedBy("k2") === blobs() - before);
  assert.ok((await assertEqualsFreshFold(nc, METER.jobs[0]!)) > 0);

  await node.kill();
  rmSync(join(root, "data"), { recursive: true });
  node = start(`k3:${randomBytes(32).toString("base64")}\n`);
  url = await node.ready;
  await assert.rejects(
    untilShards(url, (shards) => shards.every(({ status }) => status === "running")),
    /SNAPSHOT_KEY_MISSING: .* is encrypted with the key "k2"/,
  );
  for (const line of [k1, k2]) assert.ok(!node.log.includes(line.slice(3, 20)), "a key in the node's log");
  assert.deepEqual(s3.refused, []);
});
