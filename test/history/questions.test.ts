/** Questions about the past that run at once each get the state of their own moment. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { META_ROW } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import meter from "../../actors/meter/meter.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { lastFolded } from "../../runtime/history/historic-target.ts";
import type { CommittedPlace } from "../../runtime/node/state-reader.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import { T0, TestLog } from "../support/entries.ts";
import { everythingJob } from "../support/everything-app.ts";
import { type QuestionsWorld, questionsWorld, standIn, watching } from "../support/questions-world.ts";

function events(count: number): TestLog {
  const log = new TestLog("meter");
  for (let i = 0; i < count; i++) log.event({ id: `e${i}`, time: T0 + i * 1_000 }, 1_000);
  return log;
}

/** Holds whoever comes to it, once it is shut. */
function gate() {
  let open: () => void = () => {};
  let passed: Promise<void> = Promise.resolve();
  let come: () => void = () => {};
  return {
    shut(): Promise<void> {
      passed = new Promise((resolve) => {
        open = resolve;
      });
      return new Promise((resolve) => {
        come = resolve;
      });
    },
    open: () => open(),
    async pass(): Promise<void> {
      come();
      await passed;
    },
  };
}

/** The search for a log time waits there: its state is chosen, and not yet taken. */
function holdSearches({ log }: QuestionsWorld, held: ReturnType<typeof gate>): void {
  const firstOn = log.firstOn.bind(log);
  log.firstOn = async (subject, from) => {
    if (subject === ">") await held.pass();
    return await firstOn(subject, from);
  };
}

async function answerAt({ history, shard }: QuestionsWorld, sequence: number): Promise<number> {
  const past = await history.past(shard, { kind: "position", sequence, index: 0 });
  return lastFolded(standIn(await history.actor(past, "meter", "d1", watching()))).sequence;
}

test("a state that another question took on meanwhile answers no earlier moment", async (t) => {
  const held = gate();
  const history = events(60);
  const world = await questionsWorld(t, history, meter);
  holdSearches(world, held);
  const at = (sequence: number) => answerAt(world, sequence);
  assert.equal(await at(5), 5);
  const target = { kind: "log-time", time: history.entries[9]!.logTime } as const;
  const past = await world.history.past(world.shard, target);
  const come = held.shut();
  const answer = world.history.actor(past, "meter", "d1", watching());
  await come;
  assert.equal(await at(50), 50);
  held.open();
  assert.equal(lastFolded(standIn(await answer)).sequence, 10);
  await world.history.stop();
  assert.equal(world.opened.size, 0);
});

test("a state that was closed to make room is not asked, and none is lost from the list", async (t) => {
  const held = gate();
  const history = events(60);
  const world = await questionsWorld(t, history, meter);
  holdSearches(world, held);
  const at = (sequence: number) => answerAt(world, sequence);
  await at(5);
  const past = await world.history.past(world.shard, { kind: "log-time", time: history.entries[9]!.logTime });
  const come = held.shut();
  const answer = world.history.actor(past, "meter", "d1", watching());
  await come;
  for (const sequence of [4, 3, 2, 1]) assert.equal(await at(sequence), sequence);
  held.open();
  assert.equal(lastFolded(standIn(await answer)).sequence, 10);
  await world.history.stop();
  assert.equal(world.opened.size, 0);
});

test("a question whose state another one holds folds no more than its caller waits for", async (t) => {
  const held = gate();
  const history = events(60);
  const world = await questionsWorld(t, history, meter, { entriesMax: 20, beforeStep: held.pass });
  const { shard } = world;
  const long = await world.history.past(shard, { kind: "position", sequence: 50, index: 0 });
  assert.ok(world.history.isLong(long));
  await world.history.actor(long, "meter", "d1", watching());
  const first = await world.history.past(shard, { kind: "position", sequence: 52, index: 0 });
  const second = await world.history.past(shard, { kind: "position", sequence: 53, index: 0 });
  assert.ok(!world.history.isLong(first) && !world.history.isLong(second));
  const come = held.shut();
  const answer = world.history.actor(first, "meter", "d1", watching());
  await come;
  await assert.rejects(world.history.actor(second, "meter", "d1", watching()), { code: "OPERATIONS_BUSY" });
  held.open();
  assert.equal(lastFolded(standIn(await answer)).sequence, 52);
  // Asked again it is what it now costs.
  assert.ok(!world.history.isLong(await world.history.past(shard, { kind: "position", sequence: 53, index: 0 })));
  await world.history.stop();
});

test("as of an event time waits for the entry that lifts the watermark to it", async (t) => {
  const job = everythingJob(1);
  const log = new TestLog(job.log);
  for (const key of ["a", "b", "c"]) {
    log.event({ id: `e${key}`, key, type: "run", time: T0, data: { acts: [{ do: "tick", id: "x", at: 1_000 }], later: [] } }, 1);
  }
  log.event({ id: "lift", key: "a", type: "run", time: T0 + 600_000, data: { acts: [], later: [] } }, 1);
  // What the shard commits, unit by unit: the watermark is there as soon as the timers below it begin to fire.
  const store = new MemoryStore();
  let committed: CommittedPlace | undefined;
  const places: CommittedPlace[] = [];
  const note = (): void => {
    const row = store.get(META_ROW);
    if (row === undefined) return;
    const { cursor, watermark } = readMeta(row)!;
    if (cursor.sequence >= 4) places.push({ sequence: cursor.sequence, index: cursor.index, epochRoot: 0, watermark, position: "0:3.0" });
  };
  foldHistory({ ...log.history(job), store }, { commitEveryUnits: 1 }, note);
  note();
  const world = await questionsWorld(t, log, job, { committed: async () => committed });
  const time = T0 + 300_000;
  assert.ok(places.some(({ sequence, watermark }) => sequence === 4 && watermark !== undefined && watermark >= time));
  const told: string[] = [];
  for (committed of places) {
    try {
      const past = await world.history.past(world.shard, { kind: "event-time", time });
      const { watermark } = standIn(await world.history.actor(past, "first", "a", watching()));
      assert.ok(watermark !== undefined && watermark >= time);
      told.push("answered");
    } catch (error) {
      assert.ok(isTidemarkError(error, "NOT_YET"), String(error));
      told.push("not yet");
    }
  }
  assert.deepEqual(
    told,
    places.map(({ sequence }) => (sequence === 4 ? "not yet" : "answered")),
  );
  await world.history.stop();
});
