/** A site is lost under load, and its shards go on at the second one: no output doubled, none that its log does not give; and back again. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { NatsConnection } from "@nats-io/transport-node";
import type { MeterLine } from "../../actors/meter/generate.ts";
import { parsePosition } from "../../actors/model/position.ts";
import { streamInfo } from "../../runtime/log/jetstream-api.ts";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { detachedConfig, mirroredStreams, updateStream } from "../../runtime/mirror/mirrored-streams.ts";
import type { Promotion } from "../../runtime/mirror/promotion.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { runPiped } from "../support/cli-run.ts";
import { assertSumsAgree, METER } from "../support/crash-meter.ts";
import { assertEqualsFreshFold, type CrashRun, endLog, publishInWaves } from "../support/crash-run.ts";
import { NodeProcess, sequenceOf, untilShards } from "../support/node-process.ts";
import { SiteNats } from "./sites.ts";

const [job] = METER.jobs;
const ENV = { TIDEMARK_STREAM_MAX_BYTES: "67108864", TIDEMARK_SNAPSHOT_EVERY: "1h" };
const STREAMS = ["KV_tidemark-logs", "OBJ_tidemark-snapshots", "meter-0", "meter-1", "meter-out-0", "meter-out-1", "meter-skips"];

interface Removed {
  readonly stream: string;
  readonly sequence: number;
  readonly text: string;
}

test("a lost site is gone on from at the second one, and the first is gone back to", { timeout: 180_000 }, async (t) => {
  const root = mkdtempSync(join(tmpdir(), "tidemark-sites-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const lines = [...METER.lines(11, 3_000)];
  const a = await SiteNats.start(t, "site-a", ["meter"]);
  const b = await SiteNats.start(t, "site-b", ["meter"], a);
  const lost = await loseFirst(t, { a, b, root, lines });
  await promote(t, b, join(root, "removed.ndjson"), lost.configs);

  const second = startNode(t, b, join(root, "b"));
  const url = await second.ready;
  const restored = await untilShards(url, (shards) => shards.every(({ status }) => status === "running"));
  for (const { restored: report, shard } of restored) assert.equal(report?.snapshot === lost.ahead.get(shard), shard === 1);
  // Whoever publishes has kept what he published last: what came over is a duplicate.
  const nc = await connectedTo(t, b);
  await publish(nc, lines.slice(600));
  await untilEnd(nc, url);
  assert((await assertEqualsFreshFold(nc, job!)) > 0);
  assert((await assertSumsAgree({ nc, lines } as unknown as CrashRun<MeterLine>)) > 0);

  const back = await SiteNats.start(t, "site-a", ["meter"], b);
  const atBack = await connectedTo(t, back);
  await back.sync("site-b");
  assert.equal(await second.stop(), 0);
  await back.untilFollowed();
  const [returned] = await back.records<Promotion>(["mirror", "promote"]);
  assert(returned!.streams.every(({ removed }) => removed === 0));
  const third = startNode(t, back, join(root, "back"));
  await publish(atBack, [...METER.lines(12, 200)]);
  await untilEnd(atBack, await third.ready);
  assert((await assertEqualsFreshFold(atBack, job!)) > 0);
});

interface Sites {
  readonly a: SiteNats;
  readonly b: SiteNats;
  readonly root: string;
  readonly lines: readonly MeterLine[];
}

/** The link of the log meter-0 stops first: its outputs, and a snapshot of its shard, come over for entries that do not. */
async function loseFirst(t: TestContext, { a, b, root, lines }: Sites) {
  const [atA, atB] = [await connectedTo(t, a), await connectedTo(t, b)];
  const node = startNode(t, a, join(root, "a"));
  const url = await node.ready;
  await publish(atA, lines.slice(0, 600));
  await untilFolded(url, 600);
  await b.sync("site-a");
  await snapshot(url);
  await b.untilFollowed();
  const [log] = (await mirroredStreams(atB)).filter(({ stream }) => stream === "meter-0");
  await updateStream(atB, detachedConfig(log!), "meter-0");
  await publish(atA, lines.slice(600, 1_200));
  await untilFolded(url, 1_200);
  const ahead = await snapshot(url);
  await b.untilFollowed();
  assert.equal((await b.run("mirror", "status")).code, 0);
  const configs = await configsOf(atA);
  const load = publish(atA, lines.slice(1_200)).catch(() => {});
  await untilFolded(url, 1_500);
  await a.kill();
  await node.kill();
  await atA.close();
  await load;
  return { ahead, configs };
}

async function promote(t: TestContext, b: SiteNats, file: string, configs: readonly unknown[]): Promise<void> {
  const status = await b.run("mirror", "status");
  assert.equal(status.code, 1);
  assert.match(status.stderr, /the site site-a does not answer/);
  const [dry] = await b.records<Promotion>(["mirror", "promote", "--dry-run"]);
  assert(dry!.streams.find(({ stream }) => stream === "meter-out-0")!.removed > 0);
  assert.equal(existsSync(file), false);
  const [promotion] = await b.records<Promotion>(["mirror", "promote", "--removed", file]);
  const removed = readRemoved(file);
  assert(removed.some(({ stream }) => stream === "meter-out-0"));
  const ends = new Map(promotion!.streams.map(({ stream, last }) => [stream, last]));
  for (const { text, stream } of removed) {
    const { position } = JSON.parse(text) as { readonly position: string };
    assert(parsePosition(position)!.sequence > ends.get(stream.replace("-out", ""))!);
  }
  // The one that had folded what did not come over.
  assert.equal(promotion!.snapshots.filter((name) => name.startsWith("meter/0/")).length, 1);
  const nc = await connectedTo(t, b);
  assert.deepEqual(await configsOf(nc), configs);
  assert.match((await b.run("mirror", "status")).stderr, /MIRROR_MISSING/);
}

async function connectedTo(t: TestContext, site: SiteNats): Promise<NatsConnection> {
  const nc = await site.connected();
  t.after(() => nc.close());
  return nc;
}

function startNode(t: TestContext, site: SiteNats, dataDir: string): NodeProcess {
  const node = new NodeProcess({ app: METER.app, natsUrl: site.url, dataDir, env: ENV });
  t.after(() => node.kill());
  return node;
}

async function publish(nc: NatsConnection, lines: readonly MeterLine[]): Promise<void> {
  const publisher = openLogPublisher(nc, "meter", (await readSlotMap(nc, "meter"))!);
  try {
    await publishInWaves(lines, (line) => publisher.publish(METER.keyOf(line), METER.payloadOf(line)));
  } finally {
    publisher.close();
  }
}

async function untilFolded(url: string, events: number): Promise<void> {
  await untilShards(url, (shards) => shards.reduce((sum, { counts }) => sum + (counts.in ?? 0), 0) >= events && areStored(shards));
}

/** Behind a watermark that ends the log. */
async function untilEnd(nc: NatsConnection, url: string): Promise<void> {
  const ends = await endLog(nc, "meter", METER.endMs);
  await untilShards(url, (shards) => shards.every(({ position, shard }) => sequenceOf(position) >= ends[shard]!) && areStored(shards));
}

function areStored(shards: readonly ShardReport[]): boolean {
  return shards.every(({ outputs, outputsStored }) => outputsStored >= outputs);
}

/** By shard: the snapshot that was taken. */
async function snapshot(url: string): Promise<ReadonlyMap<number, string>> {
  const { code, stdout, stderr } = await runPiped(["snapshot", "create", "--job", "meter", "--url", url]);
  assert.equal(code, 0, stderr);
  const { id } = JSON.parse(stdout) as { readonly id: string };
  const shown = await runPiped(["snapshot", "show", id, "--url", url]);
  const { shards } = JSON.parse(shown.stdout) as { readonly shards: readonly { readonly shard: number; readonly snapshot: string }[] };
  return new Map(shards.map((one) => [one.shard, one.snapshot]));
}

async function configsOf(nc: NatsConnection): Promise<readonly unknown[]> {
  return await Promise.all(STREAMS.map(async (stream) => (await streamInfo(nc, stream)).config));
}

function readRemoved(file: string): Removed[] {
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Removed]));
}
