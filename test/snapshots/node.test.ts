/** Snapshots of a real node, by command: taken, listed, verified, damaged, and begun from when the data directory is gone. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { meterReadings } from "../../actors/meter/generate.ts";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { runPiped } from "../support/cli-run.ts";
import { METER } from "../support/crash-meter.ts";
import { assertEqualsFreshFold } from "../support/crash-run.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess, untilShards } from "../support/node-process.ts";

const START = Date.UTC(2026, 4, 4);
const EVENTS = 600;
const [job] = METER.jobs;

interface Shown {
  readonly id: string;
  readonly shards: readonly { readonly shard: number; readonly snapshot: string; readonly position: string; readonly deltas: number }[];
}

test("a node whose newest snapshot is damaged begins from the one before, and goes on exactly", { timeout: 180_000 }, async (t) => {
  const nats = await startTestNats(t, { logs: ["meter"] });
  const root = mkdtempSync(join(tmpdir(), "tidemark-snapshots-"));
  const place = join(root, "snapshots");
  const env = { TIDEMARK_SNAPSHOTS: `dir:${place}`, TIDEMARK_SNAPSHOT_EVERY: "1h" };
  const start = (): NodeProcess => new NodeProcess({ app: METER.app, natsUrl: nats.url, dataDir: join(root, "data"), env });
  const nc = await connect({ servers: nats.url });
  let node = start();
  t.after(async () => {
    await node.kill();
    await nc.close();
    rmSync(root, { recursive: true, force: true });
  });
  let url = await node.ready;
  const publisher = openLogPublisher(nc, "meter", (await readSlotMap(nc, "meter"))!);
  t.after(async () => publisher.close());
  const lines = [...meterReadings({ seed: 7, devices: 40, events: EVENTS, start: START })];
  const publish = async (from: number, to: number): Promise<readonly ShardReport[]> => {
    await Promise.all(lines.slice(from, to).map((line) => publisher.publish(METER.keyOf(line), METER.payloadOf(line))));
    return await untilShards(url, (shards) => seen(shards) >= to && shards.every((shard) => shard.outputsStored >= shard.outputs));
  };
  const records = async <T>(...words: string[]): Promise<T[]> => {
    const { code, stdout, stderr } = await runPiped([...words, "--url", url]);
    assert.deepEqual([code, stderr], [0, ""]);
    return stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as T]));
  };
  const verified = (id: string) => runPiped(["snapshot", "verify", id, "--url", url]);

  await publish(0, 200);
  const [first] = await records<Shown>("snapshot", "create");
  await publish(200, 210);
  const [second] = await records<Shown>("snapshot", "create", "--job", "meter");
  assert.deepEqual(
    (await records<Shown>("snapshot", "list")).map(({ id }) => id),
    [second!.id, first!.id],
  );
  const [shown] = await records<Shown>("snapshot", "show", second!.id);
  assert.deepEqual(
    shown!.shards.map(({ shard }) => shard),
    [0, 1],
  );
  for (const id of [first!.id, second!.id]) assert.equal((await verified(id)).code, 0);
  const shards = await untilShards(url, (reports) => reports.every(({ lastSnapshot }) => lastSnapshot !== null));
  for (const { lastSnapshot, shard } of shards) {
    assert.equal(lastSnapshot!.id, second!.id);
    assert.equal(lastSnapshot!.position, shown!.shards[shard]!.position);
  }
  await publish(210, 400);

  for (const { shard, snapshot } of second!.shards) flipBit(join(place, "meter", "shards", String(shard), snapshot));
  const refused = await verified(second!.id);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /SNAPSHOT_DAMAGED: The chunk meter\/shards\/0\/.* is not what its manifest says/);

  await node.kill();
  rmSync(join(root, "data"), { recursive: true });
  node = start();
  url = await node.ready;
  const restored = await untilShards(url, (reports) => reports.every(({ status }) => status === "running"));
  for (const { restored: report, shard } of restored) assert.equal(report?.snapshot, first!.shards[shard]!.snapshot);
  assert.equal(node.log.match(/is passed over: SNAPSHOT_DAMAGED/g)?.length, 2);
  await publish(400, EVENTS);
  assert((await assertEqualsFreshFold(nc, job!)) > 0);

  const unknown = await runPiped(["snapshot", "show", "meter.20200101T000000000Z", "--url", url]);
  assert.deepEqual([unknown.code, /There is no snapshot "meter\.20200101T000000000Z"/.test(unknown.stderr)], [1, true]);
});

function seen(shards: readonly ShardReport[]): number {
  return shards.reduce((sum, { counts }) => sum + (counts.in ?? 0), 0);
}

/** In the middle of the first chunk that the snapshot wrote itself. */
function flipBit(folder: string): void {
  const chunk = join(
    folder,
    readdirSync(folder)
      .filter((name) => name !== "manifest")
      .sort()[0]!,
  );
  const bytes = readFileSync(chunk);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(chunk, bytes);
}
