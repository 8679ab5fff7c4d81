/** Visits through two stages of pumps, in a real node that is killed while they come: from four partitions to three to two. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { Job } from "../../actors/model/job.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { openSlotMap } from "../../runtime/log/slot-map.ts";
import { storedOutputs } from "../../runtime/replay/stored-history.ts";
import { type CrashRunOptions, seeded } from "./crash-run.ts";
import { type ReadOutput, readOutputs } from "./entries.ts";
import { startTestNats } from "./nats.ts";
import { NodeProcess, untilShards } from "./node-process.ts";
import { SPAN_MS, spans, visitors, visits } from "./pump-app.ts";

export const PARTITIONS = { visits: 4, visitors: 3, spans: 2 };
const APP = new URL("./pump-app.ts", import.meta.url).pathname;
const START = Date.UTC(2026, 4, 4);
const WAVE = 400;

export interface Visit {
  readonly page: string;
  readonly visitor: string;
  readonly ordinal: number;
  readonly time: number;
}

export interface PumpRun {
  readonly nc: NatsConnection;
  readonly dataDir: string;
  readonly visits: readonly Visit[];
  /** Behind every visit: the first log ends there. */
  readonly end: number;
  start(): NodeProcess;
  outputsOf(job: keyof typeof PARTITIONS): Promise<ReadOutput[]>;
}

/** Publishes all visits while the node is killed; gives it with the last node drained. */
export async function pumpRun(t: TestContext, { seed, events, kills, brokerRestarts }: CrashRunOptions): Promise<PumpRun> {
  const random = seeded(seed);
  const nats = await startTestNats(t, { logs: Object.keys(PARTITIONS) });
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-pump-"));
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  for (const [log, partitions] of Object.entries(PARTITIONS)) await openSlotMap(nc, log, partitions);
  let node: NodeProcess | undefined;
  const start = (): NodeProcess => {
    node = new NodeProcess({ app: APP, natsUrl: nats.url, dataDir, env: { TIDEMARK_WORKERS: "2" } });
    return node;
  };
  t.after(async () => {
    await node?.kill();
    await nc.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  await start().ready;
  const all = Array.from({ length: events }, (_, ordinal): Visit => {
    const time = START + ordinal * 10 - Math.floor(random() * 1_000);
    return { page: `page-${Math.floor(random() * 40)}`, visitor: `visitor-${Math.floor(random() * 60)}`, ordinal, time };
  });
  const publisher = openLogPublisher(nc, "visits", (await openSlotMap(nc, "visits", PARTITIONS.visits)).map, { tries: 100 });
  const slice = Math.ceil(events / (kills + 1));
  for (let i = 0; i <= kills; i++) {
    const publishing = publish(all.slice(i * slice, (i + 1) * slice), (one) => publisher.publish(one.page, eventOf(one)));
    if (i < kills) {
      await Promise.race([pause(random() * 1_200), node!.exited]);
      await node!.kill();
      if (i < brokerRestarts) await nats.restart();
      start();
    }
    await publishing;
  }
  publisher.close();
  const end = START + events * 10 + 10 * SPAN_MS;
  await untilEnd(node!, end);
  const outputsOf = async (job: keyof typeof PARTITIONS): Promise<ReadOutput[]> => {
    const each: ReadOutput[] = [];
    for (let partition = 0; partition < PARTITIONS[job]; partition++) each.push(...readOutputs(await storedOutputs(nc, job, partition)));
    return each;
  };
  return { nc, dataDir, visits: all, end, start, outputsOf };
}

/** Says to the first log that nothing older comes, waits until the last job knows it, and drains the node. */
export async function untilEnd(node: NodeProcess, end: number): Promise<void> {
  const apiUrl = await node.ready;
  const answer = await fetch(`${apiUrl}/v1/logs/${visits.log}/watermark`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ time: formatInstant(end) }),
  });
  assert.equal(answer.status, 200, await answer.text());
  const shards = await untilShards(apiUrl, (all) =>
    all.every(({ watermark, outputs, outputsStored }) => watermark !== null && Date.parse(watermark) >= end && outputsStored >= outputs),
  );
  for (const { job, counts } of shards) {
    assert.deepEqual([counts.late, counts.behind, counts.quarantined, counts.deadLettered], [0, 0, 0, 0], job);
  }
  // What the publisher stored twice is a duplicate in both logs; what a pump wrote twice is none.
  const duplicates = ({ name }: Job) => shards.filter(({ job }) => job === name).reduce((sum, { counts }) => sum + counts.duplicate!, 0);
  assert.deepEqual([duplicates(visitors), duplicates(spans)], [duplicates(visits), 0]);
  assert.equal(await node.stop(), 0);
}

function eventOf({ page, visitor, ordinal, time }: Visit) {
  return {
    specversion: "1.0" as const,
    id: `${ordinal}`,
    source: `/${page}`,
    type: "visit",
    subject: page,
    time: formatInstant(time),
    data: { visitor, ordinal },
  };
}

async function publish(lines: readonly Visit[], one: (line: Visit) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < lines.length; i += WAVE) await Promise.all(lines.slice(i, i + WAVE).map(one));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
