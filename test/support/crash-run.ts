/**
 * The crash run: events through a real server into a real node that is killed again and again, and the three
 * judgements on what came out: a fresh fold of the same log, an undisturbed run key by key, and plain SQL.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { TestContext } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { writeWatermark } from "../../actors/fold/journal.ts";
import { META_ROW, TABLE } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import { controlSubject } from "../../actors/fold/subject.ts";
import { type MeterLine, meterReadings } from "../../actors/meter/generate.ts";
import type { Job } from "../../actors/model/job.ts";
import { DAY_MS, formatInstant } from "../../actors/model/time.ts";
import { type CloudEvent, type EventPayload, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import type { Output } from "../../runtime/outputs/output-stream.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { storedHistory, storedOutputs } from "../../runtime/replay/stored-history.ts";
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";
import type { ShardStore } from "../../runtime/store/shard-store.ts";
import { type ReadOutput, readOutputs } from "./entries.ts";
import job from "./meter-hold.ts";
import { startTestNats, type TestNats } from "./nats.ts";
import { NodeProcess, sequenceOf, untilShards } from "./node-process.ts";

export const CRASH_APP = new URL("./meter-hold.ts", import.meta.url).pathname;
export const PARTITIONS = 2;
const START = Date.UTC(2026, 4, 4);
const WAVE = 400;

export interface CrashRunOptions {
  readonly seed: number;
  readonly events: number;
  readonly kills: number;
  readonly brokerRestarts: number;
}

export interface CrashRun {
  readonly nats: TestNats;
  readonly nc: NatsConnection;
  readonly lines: readonly MeterLine[];
  readonly ends: readonly number[];
  readonly dataDir: string;
  /** Drains the last node. */
  stop(): Promise<void>;
}

/** Publishes all events while the node is killed, and waits until the last node has folded and stored everything. */
export async function crashRun(t: TestContext, options: CrashRunOptions): Promise<CrashRun> {
  const random = seeded(options.seed);
  const nats = await startTestNats(t, { logs: [job.log] });
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-crash-"));
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  const start = (): NodeProcess => new NodeProcess({ app: CRASH_APP, natsUrl: nats.url, dataDir });
  let node = start();
  t.after(async () => {
    await node.kill();
    await nc.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  await node.ready;

  const lines = [...meterReadings({ seed: options.seed, devices: 40, events: options.events, start: START })];
  const slices = sliced(lines, options.kills + 1);
  const publisher = openLogPublisher(nc, job.log, (await readSlotMap(nc, job.log))!, { tries: 100 });
  const restartAt = new Set(
    Array.from({ length: options.brokerRestarts }, (_, i) => Math.floor(((i + 1) * options.kills) / (options.brokerRestarts + 1))),
  );
  for (const [i, slice] of slices.entries()) {
    const publishing = publish(slice, (line) => publisher.publish(line.key, payloadOf(line)));
    if (i < options.kills) {
      // Sometimes before it is ready, sometimes long after: no moment is safe.
      await Promise.race([pause(random() * 1_200), node.exited]);
      await node.kill();
      if (restartAt.has(i)) await nats.restart();
      node = start();
    }
    await publishing;
  }
  publisher.close();
  const ends = await endLog(nc);
  const apiUrl = await node.ready;
  await untilShards(apiUrl, (shards) =>
    shards.every((shard) => sequenceOf(shard.position) >= ends[shard.shard]! && shard.outputsStored >= shard.outputs),
  );
  const stop = async (): Promise<void> => assert.equal(await node.stop(), 0);
  return { nats, nc, lines, ends, dataDir, stop };
}

/** The published outputs are, byte for byte, what one fresh fold makes of the same log. */
export async function assertEqualsFreshFold(nc: NatsConnection, ofJob: Job = job): Promise<number> {
  let count = 0;
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const folded = foldHistory(await storedHistory(nc, ofJob, partition, PARTITIONS));
    const published = await storedOutputs(nc, ofJob.name, partition);
    assert.deepEqual(published.map(textOf), folded.outputs.map(textOf));
    count += published.length;
  }
  return count;
}

/** What LMDB holds after all the kills is, row by row, what a fresh fold in memory comes to at the same position. */
export async function assertStateEqualsFreshFold(run: CrashRun): Promise<void> {
  await run.stop();
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const store = openLmdbStore(join(run.dataDir, "shards", `${job.name}-${partition}`));
    try {
      const { sequence } = readMeta(store.get(META_ROW)!)!.last;
      const history = await storedHistory(run.nc, job, partition, PARTITIONS);
      const folded = foldHistory({ ...history, entries: history.entries.filter((entry) => entry.sequence <= sequence) });
      assert.deepEqual(rowsOf(store), rowsOf(folded.store));
    } finally {
      await store.close();
    }
  }
}

/** Every row but the marks, which stand where a commit fell. */
function rowsOf(store: ShardStore): string[] {
  return store
    .scan("\0", "\xff", 1_000_000)
    .filter(({ key }) => !key.startsWith(TABLE.mark))
    .map(({ key, value }) => `${Buffer.from(key, "latin1").toString("hex")} ${Buffer.from(value).toString("hex")}`);
}

/** Key by key the outputs are those of an undisturbed node that is fed the log's events in their order. */
export async function assertEqualsUndisturbedRun(t: TestContext, run: CrashRun): Promise<void> {
  const nats = await startTestNats(t, { logs: [job.log] });
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-calm-"));
  const node = new NodeProcess({ app: CRASH_APP, natsUrl: nats.url, dataDir });
  const apiUrl = await node.ready;
  const nc = await connect({ servers: nats.url });
  t.after(async () => {
    await node.kill();
    await nc.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const ends: number[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { entries } = await storedHistory(run.nc, job, partition, PARTITIONS);
    const log = new NatsPartitionLog(nc, job.log, partition);
    for (const entry of entries.filter(isInput))
      ends[partition] = await log.append(entry.subject, entry.payload, {
        ...(entry.headers === undefined ? {} : { headers: entry.headers }),
      });
  }
  await untilShards(apiUrl, (shards) =>
    shards.every((shard) => sequenceOf(shard.position) >= ends[shard.shard]! && shard.outputsStored >= shard.outputs),
  );
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const disturbed = byKey(readOutputs(await storedOutputs(run.nc, job.name, partition)));
    const calm = byKey(readOutputs(await storedOutputs(nc, job.name, partition)));
    assert.deepEqual(disturbed, calm);
  }
}

/** Plain SQL over the published events agrees with the last total of each device and day. */
export async function assertSumsAgree(run: CrashRun): Promise<number> {
  const db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE reading (device TEXT, id TEXT, ordinal INTEGER, time TEXT, value TEXT)");
  const insert = db.prepare("INSERT INTO reading VALUES (?, ?, ?, ?, ?)");
  run.lines.forEach((line, ordinal) => {
    const event = readOrNothing(line.text);
    if (event?.type !== "meter.reading" || typeof event.data?.value !== "number") return;
    insert.run(line.key, event.id, ordinal, event.time, String(event.data.value));
  });
  // The first event of an id counts; what is more than a day and a minute behind the newest before it is late.
  const expected = db
    .prepare(
      `WITH first AS (SELECT *, row_number() OVER (PARTITION BY device, id ORDER BY ordinal) AS nth FROM reading WHERE id NOT LIKE 'late-%')
       SELECT device, substr(time, 1, 10) AS day, count(*) AS count, round(sum(CAST(value AS REAL)), 6) AS total
       FROM first WHERE nth = 1 GROUP BY device, day ORDER BY device, day`,
    )
    .all() as unknown as { device: string; day: string; count: number; total: number }[];
  const last = new Map<string, unknown>();
  for (let partition = 0; partition < PARTITIONS; partition++) {
    for (const output of readOutputs(await storedOutputs(run.nc, job.name, partition))) {
      if (output.type !== "meter.daily-total") continue;
      const { deviceId, day, count, total } = output.data;
      last.set(`${String(deviceId)} ${String(day)}`, { device: deviceId, day, count, total });
    }
  }
  const actual = [...last].sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([, total]) => total);
  assert.deepEqual(
    actual,
    expected.map((row) => ({ ...row })),
  );
  return actual.length;
}

async function endLog(nc: NatsConnection): Promise<number[]> {
  const ends: number[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const log = new NatsPartitionLog(nc, job.log, partition);
    ends.push(await log.append(controlSubject(job.log, partition), Buffer.from(writeWatermark(formatInstant(START + 400 * DAY_MS)))));
  }
  return ends;
}

async function publish(lines: readonly MeterLine[], one: (line: MeterLine) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < lines.length; i += WAVE) await Promise.all(lines.slice(i, i + WAVE).map(one));
}

/** What is no JSON goes as it is, alone: inside a batch it would spoil its neighbours. */
function payloadOf(line: MeterLine): EventPayload {
  return (readOrNothing(line.text) as CloudEvent | undefined) ?? Buffer.from(line.text);
}

/** Events and watermarks: what users and operators wrote; not what the runtime added. */
function isInput(entry: LogEntry): boolean {
  return !entry.subject.includes(".j.") || entry.subject.endsWith(".j._log");
}

function textOf(output: Pick<Output, "k" | "subject" | "chain" | "payload">): string {
  return `${output.k} ${output.subject} ${output.chain} ${Buffer.from(output.payload).toString()}`;
}

/** Outputs by key in their order, without what differs between two logs; processing-time timers left out. */
function byKey(outputs: readonly ReadOutput[]): Record<string, unknown[]> {
  const keys: Record<string, unknown[]> = {};
  for (const output of outputs) {
    if (output.type === "meter.silent") continue;
    const {
      id: _id,
      position: _position,
      idempotencykey: _key,
      ...rest
    } = output.type === "tidemark.quarantine" ? { ...output, time: "" } : output;
    const { position: _at, firstPosition: _first, ...data } = rest.data;
    keys[output.subject ?? "%"] ??= [];
    keys[output.subject ?? "%"]!.push({ ...rest, data });
  }
  return keys;
}

function readOrNothing(
  text: string,
): { readonly id: string; readonly type?: string; readonly time: string; readonly data?: { readonly value?: unknown } } | undefined {
  try {
    return JSON.parse(text) as { id: string; type?: string; time: string; data?: { value?: unknown } };
  } catch {
    return undefined;
  }
}

function sliced<T>(items: readonly T[], count: number): T[][] {
  const size = Math.ceil(items.length / count);
  return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}
