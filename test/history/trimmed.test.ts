/** Behind a trim a key is told of from where the log can still be folded. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import meter from "../../actors/meter/meter.ts";
import { planExplanation } from "../../runtime/history/explanation.ts";
import { planTimeline } from "../../runtime/history/timeline.ts";
import { indexPiece } from "../../runtime/node/touch-page.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import type { ShardManifest } from "../../runtime/snapshots/manifest.ts";
import { TestLog } from "../support/entries.ts";
import { foldedBeginning } from "../support/past-world.ts";
import { questionsWorld } from "../support/questions-world.ts";

const ENTRIES = 20;

async function trimmedAt(t: TestContext, first: number | undefined) {
  const log = new TestLog("meter");
  for (let i = 1; i <= ENTRIES; i++)
    log.batch(
      ["d1", "d2"].map((key) => ({ id: `${key}-${i}`, key })),
      1,
    );
  const whole = foldHistory(log.history(meter));
  const { cursor, last, watermark = null, processingTime } = foldedBeginning(log, meter, 10).meta;
  // Of a manifest what the choice of a beginning reads.
  const snapshot = { id: "s", shard: 0, job: "meter", cursor, last, watermark, processingTime, epochRoot: 0 } as unknown as ShardManifest;
  const touches = async (_shard: unknown, token: string, from: number, max: number) => indexPiece(whole.store, token, from, max);
  const world = await questionsWorld(t, log, meter, { snapshots: [snapshot], touches });
  if (first !== undefined) world.log.trim(first);
  return world;
}

test("an explanation begins at the oldest snapshot that leads on, and says that it is not complete", async (t) => {
  const { history, shard } = await trimmedAt(t, 10);
  const question = { shard, k: 1, token: "d1", position: { partition: 0, sequence: ENTRIES, index: 0 } };
  const { past, whole } = await planExplanation(history, question);
  assert.deepEqual([past.target, whole], [{ kind: "position", sequence: 10, index: Number.MAX_SAFE_INTEGER }, false]);
  const early = { ...question, position: { partition: 0, sequence: 5, index: 0 } };
  await assert.rejects(planExplanation(history, early), { code: "HISTORY_TRIMMED" });
});

test("a timeline without a place to begin starts there too, and one with a place before it is refused", async (t) => {
  const { history, shard } = await trimmedAt(t, 10);
  const question = { shard, token: "d1", limit: 50, states: false };
  const plan = await planTimeline(history, { ...question, from: undefined });
  assert.deepEqual([plan?.spans, plan?.complete], [[{ from: 11, to: ENTRIES }], false]);
  await assert.rejects(planTimeline(history, { ...question, from: { sequence: 1, index: 0 } }), { code: "HISTORY_TRIMMED" });
});

test("of a log that was not trimmed both are complete", async (t) => {
  const { history, shard } = await trimmedAt(t, undefined);
  const position = { partition: 0, sequence: ENTRIES, index: 0 };
  assert.equal((await planExplanation(history, { shard, k: 1, token: "d1", position })).whole, true);
  const plan = await planTimeline(history, { shard, token: "d1", limit: 50, states: false, from: undefined });
  assert.deepEqual([plan?.spans[0]?.from, plan?.complete], [1, true]);
});
