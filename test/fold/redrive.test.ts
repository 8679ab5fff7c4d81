import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { type Redriven, writeRedrive } from "../../actors/fold/journal.ts";
import { actor, timer } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { cloudEvent, readOutputs, T0, TestLog } from "../support/entries.ts";
import { bytesOf, INTERRUPTED } from "../support/scripted.ts";

/** Fails on `bad` until an event `mended` has come. */
const fragile = actor("fragile", {
  in: {
    add: stream("fragile.add", { schema: Type.Object({ amount: Type.Integer(), bad: Type.Optional(Type.Boolean()) }) }),
    mend: stream("fragile.mended", { schema: Type.Object({}) }),
  },
  out: { sum: output("fragile.sum", { schema: Type.Object({ sum: Type.Integer(), behind: Type.Boolean() }) }) },
  state: { sum: value(Type.Integer(), 0), mended: value(Type.Boolean(), false) },
  timers: { later: timer("event", Type.Object({ amount: Type.Integer() })) },
  on: {
    add(ctx, { amount, bad }, { behind }) {
      if (bad === true && !ctx.state.mended.get()) throw new Error("not mended");
      ctx.state.sum.update((sum) => sum + amount);
      ctx.out.sum({ sum: ctx.state.sum.get(), behind });
      if (amount === 7) ctx.timers.later.at(ctx.now + 1, { amount: 100 }, "t.1");
    },
    mend: (ctx) => ctx.state.mended.set(true),
    later(ctx, fired) {
      if (!ctx.state.mended.get()) throw new Error("not mended");
      ctx.state.sum.update((sum) => sum + fired.data.amount);
      ctx.out.sum({ sum: ctx.state.sum.get(), behind: false });
    },
  },
});
const of = job("fragile", { log: "fragile", actors: [fragile], outOfOrderness: 0, allowedLateness: "1h", dedupeHorizon: "2h" });

const failing = { id: "bad", type: "fragile.add", data: { amount: 5, bad: true } };
const mended = { id: "m", type: "fragile.mended", data: {} };

class RedriveLog extends TestLog {
  constructor() {
    super("fragile");
  }

  redrive(deadLetter: string, what: Redriven, handler = "fragile.fragile.add"): this {
    return this.raw("fragile.p0.j.fragile", writeRedrive({ deadLetter, handler, who: "ann", reason: "mended", of: what }));
  }
}

function outputsOf(log: TestLog) {
  return readOutputs(foldHistory(log.history(of)).outputs);
}

const sums = (log: TestLog) =>
  outputsOf(log)
    .filter(({ type }) => type === "fragile.sum")
    .map(({ data }) => data.sum);
const audits = (log: TestLog) =>
  outputsOf(log)
    .filter(({ type }) => type === "tidemark.audit")
    .map(({ data }) => data.detail as { readonly outcome: string; readonly reason: string });

suite("a redrive of an event", () => {
  test("calls the handler that failed, and leaves a trace of who asked", () => {
    const log = new RedriveLog()
      .event(failing)
      .event(mended)
      .redrive("fragile.0.1", { event: cloudEvent(failing) });
    const [letter, sum, audit] = outputsOf(log);
    assert.equal(letter?.type, "tidemark.dead-letter");
    assert.deepEqual([sum?.type, sum?.data.sum, sum?.causeid, sum?.position], ["fragile.sum", 5, "bad", "0:3.0"]);
    assert.deepEqual(audit?.data, {
      what: "redrive",
      who: "ann",
      position: "0:3.0",
      detail: { deadLetter: "fragile.0.1", outcome: "applied", reason: "mended" },
    });
  });

  test("is exempt from dedupe and lateness", () => {
    const log = new RedriveLog().event(failing).event({ ...mended, time: T0 + 10_000_000 });
    log.redrive("fragile.0.1", { event: cloudEvent(failing) });
    assert.deepEqual(outputsOf(log)[1]?.data, { sum: 5, behind: true });
  });

  test("applies it once, however often it is asked for", () => {
    const log = new RedriveLog().event(failing).event(mended);
    log.redrive("fragile.0.1", { event: cloudEvent(failing) }).redrive("fragile.0.1", { event: cloudEvent(failing) });
    assert.deepEqual(sums(log), [5]);
    assert.deepEqual(
      audits(log).map(({ outcome }) => outcome),
      ["applied", "refused"],
    );
  });

  test("that fails again makes a dead letter that can be redriven", () => {
    const log = new RedriveLog().event(failing).redrive("fragile.0.1", { event: cloudEvent(failing) });
    log.event(mended).redrive("fragile.0.2", { event: cloudEvent(failing) });
    assert.deepEqual(sums(log), [5]);
    assert.deepEqual(
      audits(log).map(({ outcome }) => outcome),
      ["dead-lettered", "applied"],
    );
    const { counts } = foldHistory(log.history(of)).meta;
    assert.deepEqual([counts.in, counts.deadLettered, counts.redriven], [2, 2, 2]);
  });

  test("leaves a duplicate of the event a duplicate", () => {
    const log = new RedriveLog()
      .event(failing)
      .event(mended)
      .redrive("fragile.0.1", { event: cloudEvent(failing) })
      .event(failing);
    assert.deepEqual(sums(log), [5]);
  });
});

suite("a history that mended code folds anew", () => {
  const redriven = (log: RedriveLog) => log.event(failing).redrive("fragile.0.1", { event: cloudEvent(failing) });

  test("does not apply an event again that did not fail in it", () => {
    const log = redriven(new RedriveLog().event(mended));
    assert.deepEqual(sums(log), [5]);
    assert.match(audits(log)[0]?.reason ?? "", /^nothing to put back/);
  });

  test("puts back what fails in it too, whatever number its dead letter has now", () => {
    const log = new RedriveLog().event({ id: "first", type: "fragile.add", data: { amount: 1 } });
    redriven(log.event(failing).event(mended));
    assert.deepEqual(sums(log), [1, 6]);
  });
});

suite("a redrive of a timer", () => {
  const armed = { id: "e", type: "fragile.add", data: { amount: 7 } };
  const withDeadTimer = () =>
    new RedriveLog()
      .event(armed)
      .watermark(T0 + 10)
      .event(mended);

  test("calls its handler with its data, once", () => {
    const letter = outputsOf(withDeadTimer()).find(({ type }) => type === "tidemark.dead-letter");
    assert.deepEqual(letter!.data.timer, { name: "later", id: "t.1", time: formatInstant(T0 + 1), armedBy: "e" });
    const { id, time, armedBy } = letter!.data.timer as { readonly id: string; readonly time: string; readonly armedBy: string };
    const what = { key: "d1", timer: { id, time, armedBy }, data: JSON.parse(String(letter!.data.excerpt)) };
    const log = withDeadTimer().redrive("fragile.0.2", what, "fragile.later").redrive("fragile.0.2", what, "fragile.later");
    assert.deepEqual(sums(log), [7, 107]);
  });

  test("with data that the timer does not declare is refused", () => {
    const what = { key: "d1", timer: { id: "", time: formatInstant(T0), armedBy: "e" }, data: "x" };
    assert.match(audits(withDeadTimer().redrive("fragile.0.2", what, "fragile.later"))[0]?.reason ?? "", /^data /);
  });
});

suite("a redrive is refused", () => {
  const event = cloudEvent(failing);
  const cases: Readonly<Record<string, (log: RedriveLog) => RedriveLog>> = {
    "of what is no id": (log) => log.redrive("fragile.0.01", { event }),
    "of an event under another source": (log) => log.redrive("fragile.0.1", { event: { ...event, source: "/other" } }),
    "of another shard's output": (log) => log.redrive("fragile.1.1", { event }),
    "of another job's output": (log) => log.redrive("other.0.1", { event }),
    "to a handler that is not there": (log) => log.redrive("fragile.0.1", { event }, "fragile.other"),
    "to an actor that is not there": (log) => log.redrive("fragile.0.1", { event }, "other.fragile.add"),
    "with an event that is none": (log) => log.redrive("fragile.0.1", { event: { id: "x" } }),
    "with data against the schema": (log) => log.redrive("fragile.0.1", { event: { ...event, data: {} } }),
    "without a key": (log) => log.redrive("fragile.0.1", { event: { ...event, subject: undefined } }),
  };
  for (const [name, redrive] of Object.entries(cases)) {
    test(name, () => {
      const log = redrive(new RedriveLog().event(failing).event(mended));
      assert.deepEqual(sums(log), []);
      assert.equal(audits(log)[0]?.outcome, "refused");
    });
  }
});

for (const [name, way] of Object.entries(INTERRUPTED)) {
  test(`redrives give the same bytes and state hash with ${name}`, () => {
    const event = cloudEvent(failing);
    const log = new RedriveLog().event(failing).redrive("fragile.0.1", { event }).event(mended).redrive("fragile.0.2", { event });
    log.redrive("fragile.0.2", { event }).event({ id: "z", type: "fragile.add", data: { amount: 1 } });
    assert.deepEqual(bytesOf(foldHistory(log.history(of), way)), bytesOf(foldHistory(log.history(of))));
  });
}
