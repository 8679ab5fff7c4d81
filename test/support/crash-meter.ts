/**
 * The meter through a crash run, and two more judgements on what came out: an undisturbed run, key by key, and plain SQL.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { TestContext } from "node:test";
import { connect } from "@nats-io/transport-node";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { type MeterLine, meterReadings } from "../../actors/meter/generate.ts";
import { DAY_MS } from "../../actors/model/time.ts";
import type { CloudEvent, EventPayload } from "../../runtime/log/log-publisher.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { storedHistory, storedOutputs } from "../../runtime/replay/stored-history.ts";
import { type CrashRun, type CrashScenario, PARTITIONS } from "./crash-run.ts";
import { type ReadOutput, readOutputs } from "./entries.ts";
import job from "./meter-hold.ts";
import { startTestNats } from "./nats.ts";
import { NodeProcess, sequenceOf, untilShards } from "./node-process.ts";
import { natsResults } from "./result-places.ts";

const START = Date.UTC(2026, 4, 4);

export const METER: CrashScenario<MeterLine> = {
  app: new URL("./meter-hold.ts", import.meta.url).pathname,
  jobs: [job],
  lines: (seed, events) => meterReadings({ seed, devices: 40, events, start: START }),
  keyOf: ({ key }) => key,
  payloadOf,
  endMs: START + 400 * DAY_MS,
};

/** Key by key the outputs are those of an undisturbed node that is fed the log's events in their order. */
export async function assertEqualsUndisturbedRun(t: TestContext, run: CrashRun<MeterLine>): Promise<void> {
  const nats = await startTestNats(t, { logs: [job.log] });
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-calm-"));
  const node = new NodeProcess({ app: METER.app, natsUrl: nats.url, dataDir });
  const apiUrl = await node.ready;
  const nc = await connect({ servers: nats.url });
  t.after(async () => {
    await node.kill();
    await nc.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const ends: number[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { entries } = await storedHistory(run.nc, job, partition, PARTITIONS, natsResults(run.nc));
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
export async function assertSumsAgree(run: CrashRun<MeterLine>): Promise<number> {
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

/** What is no JSON goes as it is, alone: inside a batch it would spoil its neighbours. */
function payloadOf(line: MeterLine): EventPayload {
  return (readOrNothing(line.text) as CloudEvent | undefined) ?? Buffer.from(line.text);
}

/** Events and watermarks: what users and operators wrote; not what the runtime added. */
function isInput(entry: LogEntry): boolean {
  return !entry.subject.includes(".j.") || entry.subject.endsWith(".j._log");
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
