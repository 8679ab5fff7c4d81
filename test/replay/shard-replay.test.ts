import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { MemoryOutputBroker, MemoryOutputStream } from "../../runtime/outputs/memory-output-stream.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { EffectLog, effectJob, idOf, scored } from "../support/effect-script.ts";
import { readOutputs, T0, TestLog } from "../support/entries.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { aCallHistory } from "../support/random-calls.ts";
import { replayPartition, sequenceOf } from "../support/replayed-partition.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 25);
const origin = effectJob();

/** The second build doubles four wrongly, says nothing of six and eight, and says nine twice. */
function sums(version: 1 | 2): Job {
  const Add = Type.Object({ n: Type.Integer() });
  const sum = actor("sum", {
    version,
    in: { add: stream("sums.add", { schema: Add }) },
    out: { doubled: output("sums.doubled", { schema: Type.Object({ twice: Type.Integer() }) }) },
    on: {
      add(ctx, { n }) {
        const changed = version === 2;
        if (changed && (n === 6 || n === 8)) return;
        ctx.out.doubled({ twice: changed && n === 4 ? 9 : 2 * n });
        if (changed && n === 9) ctx.out.doubled({ twice: 18 });
      },
    },
  });
  return job("sums", { log: "sums", actors: [sum] });
}

function publishedOf(log: TestLog, build = origin) {
  return foldHistory(log.history(build)).outputs;
}

suite("a shadow replay of one partition", () => {
  for (const [name, histories, build] of [
    ["in which everything meets", anEverythingHistory, everythingJob(1)],
    ["of calls, results and owners", aCallHistory(true).map(({ log }) => log), origin],
  ] as const) {
    test(`gives what was published, for any history ${name}, whole or from any entry on`, async () => {
      await fc.assert(
        fc.asyncProperty(histories, fc.nat(), fc.nat(), async (log, a, b) => {
          const published = publishedOf(log, build);
          const first = 1 + (a % log.entries.length);
          const last = first + (b % (log.entries.length - first + 1));
          const whole = await replayPartition(log, build, published);
          assert.deepEqual(
            [whole.compared, whole.differences],
            [{ equal: published.length, changed: 0, added: 0, missing: 0, notCompared: 0, publishedEndedFirst: false }, []],
          );
          const part = await replayPartition(log, build, published, {
            silent: (from) => (first > from ? { last: first - 1 } : undefined),
            end: { last },
          });
          const inRange = published.filter(({ payload }) => sequenceOf(payload) >= first && sequenceOf(payload) <= last);
          assert.deepEqual(part.differences, []);
          assert.deepEqual([part.compared?.equal, part.outputs], [inRange.length, inRange.length]);
          assert.deepEqual([part.from, part.to?.split(".")[0]], [`0:${first}.0`, `0:${last}`]);
        }),
        { numRuns: RUNS },
      );
    });
  }

  test("by a changed build shows the outputs that it changes, and no others", async () => {
    const log = new TestLog("sums");
    for (let n = 1; n <= 9; n++) log.event({ id: `e${n}`, type: "sums.add", data: { n } }, 10);
    const published = publishedOf(log, sums(1));
    const { compared, differences } = await replayPartition(log, sums(2), published);
    assert.deepEqual(compared, { equal: 6, changed: 1, added: 1, missing: 2, notCompared: 0, publishedEndedFirst: true });
    assert.deepEqual(
      differences
        .map(({ class: kind, fields = [], replayed, published: was }) => {
          const { causeid } = (replayed ?? was) as { readonly causeid: string };
          return `${kind} ${causeid} ${fields.join()}`;
        })
        .sort(),
      ["changed e4 data.twice", "missing e6 ", "added e9 ", "missing e8 "].sort(),
    );
  });

  test("counts calls that no recorded result answers, and names them as the origin did", async () => {
    const log = new EffectLog().run([{ ask: 1 }, { ask: 2 }]);
    log.results([scored(idOf(2), 1)]);
    const { unanswered, unansweredCalls, differences } = await replayPartition(log, origin, publishedOf(log));
    assert.deepEqual([unanswered, unansweredCalls, differences], [1, [idOf(2, 2)], []]);
  });

  test("ends before the first entry of a later log time", async () => {
    const log = new EffectLog(T0)
      .run([{ ask: 1 }])
      .run([{ ask: 2 }], { advance: 10 })
      .run([{ ask: 3 }], { advance: 10 });
    const { to, counts, compared } = await replayPartition(log, origin, publishedOf(log), { end: { last: 99, untilLogTime: T0 + 10 } });
    assert.deepEqual([to, counts.in, compared?.missing], ["0:3.0", 2, 0]);
  });

  test("publishes under the shadow's name, goes on where an earlier one was killed, and refuses another one's outputs", async () => {
    const log = new EffectLog();
    for (let n = 1; n <= 6; n++) log.run([{ ask: n }]).results([scored(idOf(2 * n), n)]);
    const broker = new MemoryOutputBroker("asker-shadow-out-0");
    const run = (end: number, published = log) =>
      replayPartition(published, origin, publishedOf(published), { outputs: new MemoryOutputStream(broker), end: { last: end } });
    assert.equal((await run(7)).outputs, 3);
    assert.equal(broker.lastSequence, 3);
    const { outputs, compared } = await run(13);
    assert.deepEqual([outputs, compared?.equal, broker.lastSequence], [6, 6, 6]);
    const stored = readOutputs(Array.from({ length: 6 }, (_, i) => broker.message(i + 1)!));
    assert.deepEqual(
      stored.map(({ id }) => id),
      [1, 2, 3, 4, 5, 6].map((k) => `asker-shadow.0.${k}`),
    );
    await assert.rejects(run(7), (error) => isTidemarkError(error, "SHADOW_DIVERGED") && /holds 6 outputs/.test(error.detail));
    const other = new EffectLog();
    for (let n = 1; n <= 8; n++) other.run([{ ask: n }]).results([scored(idOf(2 * n), n, { output: { score: 70 } })]);
    await assert.rejects(run(17, other), (error) => isTidemarkError(error, "SHADOW_DIVERGED") && /Output 6/.test(error.detail));
  });
});
