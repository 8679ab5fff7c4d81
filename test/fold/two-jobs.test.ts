import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { besideEachOther, job } from "../../actors/model/job.ts";
import { stream } from "../../actors/model/stream.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { readOutputs, T0, TestLog } from "../support/entries.ts";

const counting = (name: string, type: string) =>
  job(name, {
    log: "shared",
    actors: [
      actor(name, {
        in: { event: stream(type, { schema: Type.Unknown() }) },
        state: { count: counter() },
        on: { event: (ctx) => void ctx.state.count.add() },
      }),
    ],
  });
const [first, second] = besideEachOther([counting("first", "a"), counting("second", "b")]) as [
  ReturnType<typeof job>,
  ReturnType<typeof job>,
];
const log = new TestLog("shared")
  .event({ id: "1", type: "a" })
  .event({ id: "2", type: "b", time: T0 + 3_600_000 })
  .event({ id: "3", type: "c" });

test("jobs on one log leave each other's events alone, and both refuse what nobody takes", () => {
  for (const job of [first, second]) {
    const { meta, outputs } = foldHistory(log.history(job));
    assert.deepEqual([meta.counts.in, meta.counts.applied, meta.counts.ignored, meta.counts.quarantined], [2, 1, 1, 1]);
    assert.deepEqual(
      readOutputs(outputs).map(({ data }) => data.code),
      ["unknown-type"],
    );
  }
});

test("another job's event moves no watermark", () => {
  assert.equal(foldHistory(log.history(first)).meta.watermark, T0 - 10_000);
});

test("a job that is alone on its log leaves nothing to others", () => {
  assert.deepEqual(
    besideEachOther([counting("first", "a"), job("x", { log: "other", actors: counting("x", "b").actors })])[0]?.settings.otherTypes,
    [],
  );
});
