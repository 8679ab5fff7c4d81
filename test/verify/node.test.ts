/** Proof of a real node, by command: healthy, then with a bit changed in a row on the disk and in an output of the stream. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { TABLE, tableEnd } from "../../actors/fold/keys.ts";
import { meterReadings } from "../../actors/meter/generate.ts";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";
import type { Row } from "../../runtime/store/shard-store.ts";
import type { ShardScrub } from "../../runtime/verify/scrub-task.ts";
import type { ShardVerdict } from "../../runtime/verify/verify-task.ts";
import { runPiped } from "../support/cli-run.ts";
import { METER } from "../support/crash-meter.ts";
import { keyNamedBy } from "../support/flipped-rows.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess, untilShards } from "../support/node-process.ts";

const SCRIPT = new URL("../../docs/check-chain.mjs", import.meta.url).pathname;
const EVENTS = 600;

interface Answer<T> {
  readonly code: number | null;
  readonly shards: readonly T[];
  readonly stderr: string;
}

test("what a bit changed on the disk or in a stream is found by command, and named", { timeout: 240_000 }, async (t) => {
  const nats = await startTestNats(t, { logs: ["meter"] });
  const root = mkdtempSync(join(tmpdir(), "tidemark-verify-"));
  const env = { TIDEMARK_SNAPSHOTS: `dir:${join(root, "snapshots")}`, TIDEMARK_SNAPSHOT_EVERY: "1h" };
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
  const lines = [...meterReadings({ seed: 7, devices: 40, events: EVENTS, start: Date.UTC(2026, 4, 4) })];
  const publish = async (from: number, to: number): Promise<void> => {
    await Promise.all(lines.slice(from, to).map((line) => publisher.publish(METER.keyOf(line), METER.payloadOf(line))));
    await untilShards(
      url,
      (shards) =>
        shards.reduce((sum, { counts }) => sum + counts.in!, 0) >= to && shards.every((shard) => shard.outputsStored >= shard.outputs),
    );
  };
  const verify = async <T>(...words: string[]): Promise<Answer<T>> => {
    const { code, stdout, stderr } = await runPiped(["verify", ...words, "--json", "--url", url]);
    return { code, shards: stdout === "" ? [] : (JSON.parse(stdout) as { readonly shards: readonly T[] }).shards, stderr };
  };

  await publish(0, 300);
  assert.equal((await runPiped(["snapshot", "create", "--url", url])).code, 0);
  await publish(300, 400);
  assert.equal((await runPiped(["snapshot", "create", "--url", url])).code, 0);
  await publish(400, EVENTS);

  await assertHealthy(verify);
  assert.deepEqual(await checkChain(nats.url, 0), { code: 0 });

  await node.stop();
  const folder = join(root, "data", "shards", "meter-0");
  const damaged = await flipOnDisk(folder);
  node = start();
  url = await node.ready;
  await untilShards(url, (shards) => shards.every(({ status }) => status === "running"));
  await assertNamed(verify, keyNamedBy(damaged)!);

  await node.stop();
  rmSync(folder, { recursive: true });
  node = start();
  url = await node.ready;
  await untilShards(url, (shards) => shards.every(({ status, lag }) => status === "running" && lag === 0));
  assert.equal((await verify()).code, 0);

  await alterOutput(nc, "meter-out-0", 2);
  assert.deepEqual(await checkChain(nats.url, 0), { code: 1, k: 2 });
  const altered = await verify<ShardVerdict>("--from", "start", "--shard", "0");
  assert.deepEqual(
    [altered.code, altered.shards[0]!.difference!.kind, altered.shards[0]!.difference!.name],
    [1, "output", "2"],
    JSON.stringify(altered),
  );
});

type Verify = <T>(...words: string[]) => Promise<Answer<T>>;

async function assertHealthy(verify: Verify): Promise<void> {
  const healthy = await verify<ShardVerdict>();
  assert.deepEqual(
    [healthy.code, healthy.shards.map(({ ok, snapshots }) => [ok, snapshots])],
    [
      0,
      [
        [true, 1],
        [true, 1],
      ],
    ],
    JSON.stringify(healthy),
  );
  const whole = await verify<ShardVerdict>("meter", "--from", "start");
  assert.deepEqual(
    whole.shards.map(({ ok, snapshots, from }) => [ok, snapshots, from]),
    [
      [true, 2, "start"],
      [true, 2, "start"],
    ],
    JSON.stringify(whole),
  );
  assert.ok(whole.shards.every(({ outputs }) => outputs > 0));
  const scrubbed = await verify<ShardScrub>("--scrub");
  assert.deepEqual([scrubbed.code, scrubbed.shards.map(({ count }) => count)], [0, [0, 0]], JSON.stringify(scrubbed));
}

async function assertNamed(verify: Verify, key: string): Promise<void> {
  const reread = await verify<ShardScrub>("--scrub");
  assert.deepEqual([reread.code, reread.shards[0]!.findings[0]!.key, reread.shards[1]!.count], [1, key, 0], JSON.stringify(reread));
  assert.match(reread.shards[0]!.findings.map(({ detail }) => detail).join(), /one bit of the row changed/);
  const folded = await verify<ShardVerdict>("--shard", "0");
  const difference = folded.shards[0]!.difference!;
  assert.deepEqual([folded.code, difference.kind, difference.key, difference.actor], [1, "state", key, "meter"], JSON.stringify(folded));
}

/** Of the first key's row of a stopped node, near the end of its value where the cells are, wherever that stands in the file. */
async function flipOnDisk(folder: string): Promise<Row> {
  const store = openLmdbStore(folder);
  const [row] = store.scan(TABLE.key, tableEnd(TABLE.key), 1);
  await store.close();
  const file = join(folder, "data.mdb");
  const bytes = readFileSync(file);
  const stored = Buffer.concat([Buffer.from(row!.key, "latin1"), row!.value]);
  let found = 0;
  // Older versions of the page still stand in pages that are free.
  for (let at = bytes.indexOf(stored); at !== -1; at = bytes.indexOf(stored, at + 1)) {
    bytes[at + row!.key.length + row!.value.length - 10]! ^= 4;
    found++;
  }
  assert.ok(found > 0);
  writeFileSync(file, bytes);
  return row!;
}

/** The stream again, with one bit of one payload changed. */
async function alterOutput(nc: NatsConnection, stream: string, k: number): Promise<void> {
  const jsm = await jetstreamManager(nc);
  const { config, state } = await jsm.streams.info(stream);
  const messages = [];
  for (let seq = 1; seq <= state.last_seq; seq++) messages.push((await jsm.streams.getMessage(stream, { seq }))!);
  await jsm.streams.delete(stream);
  await jsm.streams.add(config);
  for (const { seq, subject, data, header } of messages) {
    if (seq === k) data[data.indexOf(0x3a, 100) + 1]! ^= 1;
    for (const name of ["Nats-Expected-Last-Msg-Id", "Nats-Expected-Last-Sequence"]) header.delete(name);
    await jetstream(nc).publish(subject, data, { headers: header });
  }
}

async function checkChain(url: string, partition: number): Promise<{ readonly code: number; readonly k?: number }> {
  const child = spawn(process.execPath, [SCRIPT, url, "meter", String(partition)]);
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  child.stderr.pipe(process.stderr);
  const [code] = (await once(child, "close")) as [number];
  const k = /message (\d+):/.exec(said)?.[1];
  return { code, ...(k === undefined ? {} : { k: Number(k) }) };
}
