/** Corners of the model that a careless author or publisher would find. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { actor, timer } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { job } from "../../actors/model/job.ts";
import { layoutOf } from "../../actors/model/layout.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { parseInstant } from "../../actors/model/time.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { readOutputs, T0, TestLog } from "../support/entries.ts";

const go = { go: stream("go", { schema: Type.Unknown() }) };
const goes = () => new TestLog("open").event({ id: "1", type: "go", data: { n: 1 } });

const sparse: number[] = [];
sparse[2] = 1;

test("a list with holes is refused as one with undefined is", () => {
  for (const schema of [{}, { type: "array", items: { type: "number" } }]) {
    assert.throws(() => layoutOf(schema).normalize(sparse, "value", { bytes: 0 }), TypeError);
  }
});

test("a cell set to a list with holes makes a dead letter and no broken row", () => {
  const holes = actor("holes", { in: go, state: { any: value(Type.Unknown()) }, on: { go: (ctx) => ctx.state.any.set(sparse) } });
  const { outputs } = foldHistory(goes().history(job("open", { log: "open", actors: [holes] })));
  assert.equal(readOutputs(outputs)[0]?.type, "tidemark.dead-letter");
});

test("an optional field called like a member of Object may be absent", () => {
  const layout = layoutOf({ type: "object", required: [], properties: { constructor: { type: "string" }, toString: { type: "number" } } });
  assert.deepEqual(layout.normalize({}, "value", { bytes: 0 }), {});
});

test("an offset that leaves the years 0000 to 9999 makes no instant", () => {
  assert.deepEqual([parseInstant("0000-01-01T00:00:00+00:01"), parseInstant("9999-12-31T23:59:59-00:01")], [undefined, undefined]);
});

test("what one actor quarantines, no actor has applied: the event may come again", () => {
  const first = actor("first", { in: go, out: { done: output("done", { schema: Type.Null() }) }, on: { go: (ctx) => ctx.out.done(null) } });
  const second = actor("second", { in: go, on: { go: (ctx) => ctx.quarantine("not-now") } });
  const log = goes().event({ id: "1", type: "go", data: { n: 1 } });
  const { outputs } = foldHistory(log.history(job("open", { log: "open", actors: [first, second] })));
  assert(readOutputs(outputs).filter(({ type }) => type === "done").length <= 1, "the same event is applied twice");
});

test("an actor sees the event, not what another one made of it", () => {
  const first = actor("first", { in: go, on: { go: (_ctx, event) => Object.assign(event as object, { n: 2 }) as never } });
  const second = actor("second", {
    in: go,
    out: { saw: output("saw", { schema: Type.Unknown() }) },
    on: { go: (ctx, event) => ctx.out.saw((event as { n: number }).n) },
  });
  const { outputs } = foldHistory(goes().history(job("open", { log: "open", actors: [first, second] })));
  assert.equal(readOutputs(outputs).at(-1)?.data, 1);
});

test("a timer that arms itself at its own time goes to the dead letters and does not hold up its partition", () => {
  let fired = 0;
  const endless = actor("endless", {
    in: go,
    timers: { again: timer("event") },
    on: {
      go: (ctx) => ctx.timers.again.at(ctx.now),
      again(ctx) {
        fired++;
        ctx.timers.again.at(ctx.now);
      },
    },
  });
  const { outputs } = foldHistory(
    goes()
      .watermark(T0 + 1)
      .history(job("open", { log: "open", outOfOrderness: 0, actors: [endless] })),
  );
  assert.equal(fired, 1);
  assert.equal((readOutputs(outputs)[0]!.data as unknown as { error: { code: string } }).error.code, "TIMER_NOT_LATER");
});

test("timers of two clocks that arm each other at times gone by go to the dead letters and do not hold up their partition", () => {
  let fired = 0;
  const endless = actor("endless", {
    in: go,
    timers: { byEvent: timer("event"), byClock: timer("processing") },
    on: {
      go: (ctx) => ctx.timers.byEvent.at(ctx.now),
      byEvent(ctx) {
        if (++fired < 1_000) ctx.timers.byClock.at(0);
      },
      byClock(ctx) {
        if (++fired < 1_000) ctx.timers.byEvent.at(ctx.watermark! - 1);
      },
    },
  });
  const log = goes()
    .watermark(T0 + 1)
    .watermark(T0 + 2)
    .watermark(T0 + 3);
  const { outputs } = foldHistory(log.history(job("open", { log: "open", outOfOrderness: 0, actors: [endless] })));
  assert.equal(fired, 1);
  assert.equal((readOutputs(outputs)[0]!.data as unknown as { error: { code: string } }).error.code, "TIMER_NOT_LATER");
});
