/**
 * The job and the plain script, which was written from the README's rules and not from the job, agree on every context and
 * side output: over the sample, over generated lines, and over wild ones, with everything that goes wrong, in partitions,
 * with commits and crashes in between. CONVERSATIONS_RUNS and CONVERSATIONS_SEED make it longer.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { conversationMessages } from "../../actors/conversations/generate.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { Dice } from "../../actors/random.ts";
import { differencesOf, type Judged, judge, type Line, sampleLines } from "./folded.ts";
import type { PlainRecord } from "./plain-conversations.ts";

const RUNS = Number(process.env.CONVERSATIONS_RUNS ?? 6);
const SEED = Number(process.env.CONVERSATIONS_SEED ?? Math.floor(Math.random() * 1e9));
const START = Date.UTC(2026, 2, 2, 8);

function assertAgrees(all: readonly Judged[]): void {
  for (const one of all) assert.deepEqual(differencesOf(one).slice(0, 3), []);
}

test("the sample", () => {
  const all = judge(sampleLines(), { partitions: 4 });
  assertAgrees(all);
  const reasons = all.flatMap(({ plain }) => plain.contexts.map(({ data }) => data.reason));
  for (const reason of ["count", "time"]) assert(reasons.filter((one) => one === reason).length > 50, reason);
});

suite("lines by seed", () => {
  for (let run = 0; run < RUNS; run++) {
    const seed = SEED + run;
    test(`generated (CONVERSATIONS_SEED=${seed})`, () => {
      const made = [...conversationMessages({ seed, conversations: 30, start: START })];
      assertAgrees(judge(made, { partitions: 2 }));
      assertAgrees(judge(made, { records: [] }));
    });

    test(`wild: two conversations, every edge, stragglers, jumps of the watermark and changing settings (CONVERSATIONS_SEED=${seed})`, () => {
      const all = judge(wild(seed, 700), { records: wildRecords(seed) });
      assertAgrees(all);
      assert(all[0]!.plain.contexts.length > 10);
    });
  }
});

test("wild lines have messages that open a finished context anew, and some that are rejected", () => {
  const all = [1, 2, 3].flatMap((seed) => judge(wild(seed, 700), { records: wildRecords(seed) }));
  assertAgrees(all);
  assert(all.some(({ plain }) => plain.rejected.length > 0));
  assert(all.some(({ plain }) => plain.contexts.some(({ data }) => data.reason === "reopened")));
});

test(`wherever commits and crashes fall, bytes and state are the same (CONVERSATIONS_SEED=${SEED})`, () => {
  const lines = wild(SEED, 400);
  const [whole] = judge(lines) as [Judged];
  for (const commitEveryUnits of [1, 7]) {
    const [cut] = judge(lines, { interruptions: { commitEveryUnits, crash: true, liveRowsMax: 2 } }) as [Judged];
    assert.deepEqual(cut.outputs, whole.outputs);
    assert.equal(cut.stateHash, whole.stateHash);
  }
});

test("the comparison finds a context that is missing, one too many, and one that differs", () => {
  const [one] = judge(wild(1, 300)) as [Judged];
  const at = one.outputs.findIndex(({ type }) => type === "conversation.context-ready");
  const context = one.outputs[at]!;
  assert.notDeepEqual(differencesOf({ ...one, outputs: one.outputs.toSpliced(at, 1) }), []);
  assert.notDeepEqual(differencesOf({ ...one, outputs: [...one.outputs, context] }), []);
  const other = { ...context, data: { ...context.data, reason: "other" } };
  assert.equal(differencesOf({ ...one, outputs: one.outputs.with(at, other) }).length, 1);
});

/** Steps around ten seconds, which is when a context is due by time; many behind, some late, breaks of days. */
function wild(seed: number, count: number): (Line | number)[] {
  const dice = new Dice(seed);
  const lines: (Line | number)[] = [];
  let now = START;
  for (let i = 0; i < count; i++) {
    now += dice.chance(0.01) ? dice.between(0, 40) * 3_600_000 : dice.pick([0, 0, 1, 500, 2_000, 5_000, 9_999, 10_000, 10_001]);
    const backMs = dice.pick([0, 0, 0, 2_000, 2_000, 12_000, 60_000, 70_000]);
    const time = now - (dice.chance(0.3) ? backMs : dice.between(0, backMs + 1));
    const key = dice.pick(["a", "b"]);
    const id = dice.chance(0.03) ? `w${dice.between(0, i)}` : `w${i}`;
    const data = { conversationId: key, role: dice.pick(["user", "assistant"]), text: `${i}` };
    const event = { specversion: "1.0", id, source: "/wild", type: "message", subject: key, time: formatInstant(time), data };
    lines.push({ key, text: JSON.stringify(event), time });
    if (dice.chance(0.03)) lines.push(now + dice.between(-60_000, 120_000));
  }
  return lines;
}

/** New settings every few minutes: more messages, fewer, none of one's own. */
function wildRecords(seed: number): PlainRecord[] {
  const dice = new Dice(seed ^ 77);
  return ["default", "a"].flatMap((id) =>
    Array.from({ length: 8 }, (_, i) => ({
      id,
      version: i + 1,
      effectiveFrom: formatInstant(START - 3_600_000 + (i === 0 ? 0 : 3_600_000 + dice.between(0, 40 * 60_000))),
      data: dice.chance(0.2)
        ? null
        : {
            ...(dice.chance(0.8) ? { messages: dice.pick([1, 2, 3, 5, 30]) } : {}),
            ...(dice.chance(0.8) ? { within: dice.pick(["1s", "10s", "20s", "24h"]) } : {}),
            ...(dice.chance(0.7) ? { late: dice.pick(["next", "reopen", "reject"] as const) } : {}),
          },
    })).sort((x, y) => x.version - y.version),
  );
}
