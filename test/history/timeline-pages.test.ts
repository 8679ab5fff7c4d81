/** The pages of a timeline together show every item once, however many lie at one position. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { writeEpoch } from "../../actors/fold/journal.ts";
import meter from "../../actors/meter/meter.ts";
import type { KeyItem } from "../../runtime/history/key-item.ts";
import { planTimeline, readTimeline, type TimelinePlace } from "../../runtime/history/timeline.ts";
import { identityFor, T0, TestLog } from "../support/entries.ts";
import { everythingJob } from "../support/everything-app.ts";
import { type QuestionsWorld, questionsWorld, watching } from "../support/questions-world.ts";

const job = everythingJob(1);

/** Alarms that all fire with the entry behind them, and of a batch with its second event. */
function alarms(events: number, each: number, last: "event" | "batch"): TestLog {
  const log = new TestLog(job.log);
  for (let e = 0; e < events; e++) {
    const acts = Array.from({ length: each }, (_, i) => ({ do: "alarm", id: `x${e}-${i}`, at: 1_000 }));
    log.event({ id: `e${e}`, key: "a", type: "run", data: { acts, later: [] } }, 1);
  }
  const data = { acts: [], later: [] };
  if (last === "event") log.event({ id: "last", key: "a", type: "run", data }, 60_000);
  else
    log.batch(
      ["l0", "l1"].map((id) => ({ id, key: "a", type: "run", data })),
      60_000,
    );
  log.event({ id: "end", key: "a", type: "run", data }, 1);
  return log;
}

test("a timeline across an epoch of other code keeps showing states, each environment opened once at a time", async (t) => {
  const first = identityFor(meter);
  const second = { ...first, version: 2, codeHash: "b".repeat(64) };
  const log = new TestLog("meter");
  const five = (name: string): void => {
    for (let i = 0; i < 5; i++) log.event({ id: `${name}${i}`, time: T0 + i }, 1);
  };
  five("a");
  log.raw("meter.p0.j.meter.epoch", writeEpoch(first, 0, 1));
  five("b");
  log.raw("meter.p0.j.meter.epoch", writeEpoch(second, 6, undefined));
  five("c");
  const root = { root: { ...first, sequence: 6 }, from: 1, later: [], base: undefined, begunAt: undefined };
  const world = await questionsWorld(t, log, meter, { builds: [first, second], root });
  const question = { shard: world.shard, token: "d1", from: { sequence: 1, index: 0 }, limit: 100, states: true };
  const plan = await planTimeline(world.history, question);
  const { items } = await readTimeline(world.history, question, plan!, watching());
  assert.deepEqual(
    items.map((item) => (item.kind === "event" ? item.event.id : item.kind)),
    ["a", "b", "c"].flatMap((name) => [0, 1, 2, 3, 4].map((i) => `${name}${i}`)),
  );
  assert.ok(items.every(({ changes }) => changes !== undefined && changes.length > 0));
  assert.equal(world.begun, 2);
  await world.history.stop();
  assert.equal(world.opened.size, 0);
});

async function pagesOf({ history, shard }: QuestionsWorld, limit: number): Promise<KeyItem[][]> {
  const pages: KeyItem[][] = [];
  for (let from: TimelinePlace | undefined = { sequence: 1, index: 0 }; from !== undefined; ) {
    assert.ok(pages.length < 100, "the pages do not end");
    const question = { shard, token: "a", from, limit, states: false };
    const plan = await planTimeline(history, question);
    if (plan === undefined) break;
    const { items, next } = await readTimeline(history, question, plan, watching());
    pages.push([...items]);
    from = next;
  }
  return pages;
}

for (const last of ["event", "batch"] as const) {
  test(`a page that ends among the timers of one ${last} is gone on from there`, async (t) => {
    const log = alarms(10, 150, last);
    const world = await questionsWorld(t, log, job);
    const whole = (await pagesOf(world, 100_000)).flat();
    const paged = await pagesOf(world, 20);
    assert.ok(whole.filter(({ kind }) => kind === "timer").length >= 1_500);
    assert.ok(paged.length > 2);
    assert.ok(paged.every((page) => page.length <= 20 + 1_000));
    assert.deepEqual(paged.flat(), whole);
    await world.history.stop();
  });
}
