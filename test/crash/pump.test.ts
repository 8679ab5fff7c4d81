/** Pumps in a real node that is killed again and again, over a real server: from four partitions to three, and from there in a second stage to two. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "@nats-io/transport-node";
import type { Job } from "../../actors/model/job.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { openSlotMap } from "../../runtime/log/slot-map.ts";
import { storedOutputs } from "../../runtime/replay/stored-history.ts";
import { assertEqualsFreshFold, assertStateEqualsFreshFold, seeded } from "../support/crash-run.ts";
import { type ReadOutput, readOutputs } from "../support/entries.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess, untilShards } from "../support/node-process.ts";
import { SPAN_MS, spans, visitors, visits } from "../support/pump-app.ts";

const EVENTS = Number(process.env.CRASH_EVENTS ?? 3_000);
const KILLS = Number(process.env.CRASH_KILLS ?? 4);
const SEED = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 1e9));
const PARTITIONS = { visits: 4, visitors: 3, spans: 2 };
const START = Date.UTC(2026, 4, 4);
const WAVE = 400;
const APP = new URL("../support/pump-app.ts", import.meta.url).pathname;

interface Visit {
  readonly page: string;
  readonly visitor: string;
  readonly ordinal: number;
  readonly time: number;
}

test(`two stages of pumps: ${KILLS} kills and a broker restart lose, double and reorder nothing (CRASH_SEED=${SEED})`, async (t) => {
  const random = seeded(SEED);
  const nats = await startTestNats(t, { logs: Object.keys(PARTITIONS) });
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-pump-"));
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  const start = () => new NodeProcess({ app: APP, natsUrl: nats.url, dataDir, env: { TIDEMARK_PARTITIONS: `${PARTITIONS.visits}` } });
  for (const log of ["visitors", "spans"] as const) await openSlotMap(nc, log, PARTITIONS[log]);
  let node = start();
  t.after(async () => {
    await node.kill();
    await nc.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  await node.ready;

  const all = Array.from({ length: EVENTS }, (_, ordinal): Visit => {
    const time = START + ordinal * 10 - Math.floor(random() * 1_000);
    return { page: `page-${Math.floor(random() * 40)}`, visitor: `visitor-${Math.floor(random() * 60)}`, ordinal, time };
  });
  const publisher = openLogPublisher(nc, "visits", (await openSlotMap(nc, "visits", PARTITIONS.visits)).map, { tries: 100 });
  const slice = Math.ceil(EVENTS / (KILLS + 1));
  for (let i = 0; i <= KILLS; i++) {
    const publishing = publish(all.slice(i * slice, (i + 1) * slice), (one) => publisher.publish(one.page, eventOf(one)));
    if (i < KILLS) {
      await Promise.race([pause(random() * 1_200), node.exited]);
      await node.kill();
      if (i === Math.floor(KILLS / 2)) await nats.restart();
      node = start();
    }
    await publishing;
  }
  publisher.close();
  const end = START + EVENTS * 10 + 10 * SPAN_MS;
  await untilEnd(await node.ready, end);

  await t.test("each visit comes to its visitor once, and of each page in its order", async (s) => {
    const expected = new Map<string, number[]>();
    for (const { visitor, page, ordinal } of all)
      expected.set(`${visitor} ${page}`, [...(expected.get(`${visitor} ${page}`) ?? []), ordinal]);
    const actual = new Map<string, number[]>();
    for (const { type, subject, data } of await outputsOf("visitors")) {
      if (type !== "visit.seen") continue;
      const place = `${subject} ${String(data.page).slice(1)}`;
      actual.set(place, [...(actual.get(place) ?? []), data.ordinal as number]);
    }
    assert.deepEqual(sorted(actual), sorted(expected));
    s.diagnostic(`${EVENTS} visits`);
  });
  await t.test("the second stage has a total for each span, once, of all parts: no watermark went ahead of what it was about", async () => {
    const expected = new Map<number, number>();
    for (const { time } of all) expected.set(Math.floor(time / SPAN_MS), (expected.get(Math.floor(time / SPAN_MS)) ?? 0) + 1);
    const totals = (await outputsOf("spans")).map(({ type, data }) => [type, data.span, data.visits]);
    assert.deepEqual(
      totals.sort((a, b) => Number(a[1]) - Number(b[1])),
      [...expected].sort((a, b) => a[0] - b[0]).map(([span, count]) => ["span.total", span, count]),
    );
  });
  assert.equal(await node.stop(), 0);
  for (const job of [visitors, spans]) {
    await t.test(`the outputs of ${job.name} are what a fresh fold of the same log gives, byte for byte`, async (s) => {
      s.diagnostic(`${await assertEqualsFreshFold(nc, job, PARTITIONS[job.name as "spans"])} outputs`);
    });
    await t.test(`the rows of ${job.name} in LMDB are those of a fresh fold in memory`, async (s) => {
      s.diagnostic(`${await assertStateEqualsFreshFold({ nc, dataDir }, job, PARTITIONS[job.name as "spans"])} rows`);
    });
  }
  await t.test("a shard that has lost its state folds its log again to the same, and takes nothing twice", async () => {
    const before = await outputsOf("visitors");
    rmSync(join(dataDir, "shards", "visitors-0"), { recursive: true });
    node = start();
    await untilEnd(await node.ready, end + SPAN_MS);
    assert.equal(await node.stop(), 0);
    assert.deepEqual(await outputsOf("visitors"), before);
    await assertStateEqualsFreshFold({ nc, dataDir }, visitors, PARTITIONS.visitors);
  });

  async function outputsOf(job: keyof typeof PARTITIONS): Promise<ReadOutput[]> {
    const each: ReadOutput[] = [];
    for (let partition = 0; partition < PARTITIONS[job]; partition++) each.push(...readOutputs(await storedOutputs(nc, job, partition)));
    return each;
  }
});

/** Says to the first log that nothing older comes, and waits until the last job knows it. */
async function untilEnd(apiUrl: string, end: number): Promise<void> {
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

function sorted(map: ReadonlyMap<string, unknown>): [string, unknown][] {
  return [...map].sort((a, b) => (a[0] < b[0] ? -1 : 1));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
