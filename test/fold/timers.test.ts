import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import { actor, timer } from "../../actors/model/actor.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { readOutputs, T0, TestLog } from "../support/entries.ts";
import { bytesOf, INTERRUPTED, outputsOf, runEvent, ScriptLog, type Step, scriptedJob, timerRows } from "../support/scripted.ts";
import { aScriptedHistory } from "../support/scripted-history.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 60);
const HOUR = 3_600_000;
const of = scriptedJob();

/** What came, in order: key, name and id of timers, texts of what handlers said. */
const cameOf = (log: ScriptLog, from: Job = of) =>
  outputsOf(log, from).map(({ subject, data, position }) => `${position} ${subject} ${data.text ?? `${data.name}${data.id}`}`);

suite("an event timer", () => {
  test("fires when the watermark is past its time, not when it is at it", () => {
    const log = new ScriptLog().run([{ arm: "tick", at: T0 + 5 }]).watermark(T0 + 5);
    assert.deepEqual(cameOf(log), []);
    assert.deepEqual(cameOf(log.watermark(T0 + 6)), ["0:3.0 d1 tick"]);
  });

  test("fires before the event that set it off is applied, and sees the watermark lifted", () => {
    const log = new ScriptLog().run([{ arm: "tick", at: T0, steps: [{ say: "due" }] }]).run([{ say: "event" }], { time: T0 + 1 });
    assert.deepEqual(
      outputsOf(log, of).map(({ data, time }) => [data.name ?? data.text, data.watermark ?? null, time.slice(-5)]),
      [
        ["tick", null, ".000Z"],
        ["due", T0 + 1, ".000Z"],
        ["event", T0 + 1, ".001Z"],
      ],
    );
  });

  test("is set off by another key's event, but not by one that is refused, a duplicate or undecidable", () => {
    const log = new ScriptLog().run([{ arm: "tick", at: T0 }], { id: "1" });
    log
      .event({ id: "2", type: "unknown", time: T0 + 9 })
      .run([], { id: "1", time: T0 + 9 })
      .run([], { time: T0 - 3 * HOUR });
    assert.deepEqual(
      cameOf(log).filter((came) => came.includes("tick")),
      [],
    );
    assert.deepEqual(cameOf(log.run([], { key: "other", time: T0 + 1 })).slice(-1), ["0:5.0 d1 tick"]);
  });

  test("armed at a time that has passed fires with the next entry, whatever that is", () => {
    const log = new ScriptLog().run([], { time: T0 + 9 }).run([{ arm: "tick", at: T0 + 1 }, { say: "armed" }]);
    assert.deepEqual(cameOf(log), ["0:2.0 d1 armed"]);
    assert.deepEqual(cameOf(log.raw("script.p0.r.table", "reference")), ["0:2.0 d1 armed", "0:3.0 d1 tick"]);
  });

  test("is about the event that armed it", () => {
    const log = new ScriptLog().run([{ arm: "tick", at: T0 }], { id: "cause" }).run([], { id: "effect", time: T0 + 1 });
    const [fired] = outputsOf(log, of);
    assert.deepEqual([fired?.causeid, fired?.time, fired?.position], ["cause", "2026-01-15T12:00:00.000Z", "0:2.0"]);
  });

  test("set again is moved: later, earlier, and there and back", () => {
    const at = (...times: number[]) => {
      const log = new ScriptLog();
      for (const time of times) log.run([{ arm: "tick", at: T0 + time, steps: [{ say: `${time}` }] }]);
      for (let time = 1; time < 40; time++) log.watermark(T0 + time);
      const came = outputsOf(log, of).map(
        ({ position, data }) => `${Number(position.slice(2, -2)) - times.length} ${data.name ?? data.text}`,
      );
      for (const [name, way] of Object.entries(INTERRUPTED))
        assert.deepEqual(bytesOf(foldHistory(log.history(of), way)), bytesOf(foldHistory(log.history(of))), name);
      assert.equal(foldHistory(log.history(of)).meta.timers, 0);
      return came;
    };
    assert.deepEqual(at(10, 20), ["21 tick", "21 20"]);
    assert.deepEqual(at(20, 10), ["11 tick", "11 10"]);
    assert.deepEqual(at(10, 30, 20), ["21 tick", "21 20"]);
    assert.deepEqual(at(10, 30, 10), ["11 tick", "11 10"]);
    assert.deepEqual(at(20, 30, 10, 15), ["16 tick", "16 15"]);
    assert.deepEqual(at(10, 10), ["11 tick", "11 10"]);
  });

  test("cancelled does not fire, also when it was moved before, and may be set again", () => {
    const log = new ScriptLog().run([
      { arm: "tick", at: T0 + 5 },
      { arm: "tick", at: T0 + 9 },
      { cancel: "tick" },
      { cancel: "tick", id: "none" },
    ]);
    log
      .run([{ arm: "tick", at: T0 + 5, id: "b" }])
      .run([{ arm: "tick", at: T0 + 9, id: "b" }])
      .run([{ cancel: "tick", id: "b" }]);
    assert.deepEqual(cameOf(log.watermark(T0 + HOUR)), []);
    assert.equal(foldHistory(log.history(of)).meta.timers, 0);
    assert.deepEqual(cameOf(log.run([{ arm: "tick", at: T0 + 5, id: "b" }]).tick()), ["0:7.0 d1 tickb"]);
  });

  test("cancelled by one that fires before it at the same entry does not fire", () => {
    const log = new ScriptLog().run([
      { arm: "tick", at: T0 + 1, id: "a", steps: [{ cancel: "tick", id: "b" }] },
      { arm: "tick", at: T0 + 2, id: "b" },
    ]);
    assert.deepEqual(cameOf(log.watermark(T0 + 9)), ["0:2.0 d1 ticka"]);
  });

  test("moved past the watermark by one that fires before it waits", () => {
    const log = new ScriptLog().run([
      { arm: "tick", at: T0 + 1, id: "a", steps: [{ arm: "tick", at: T0 + 20, id: "b" }] },
      { arm: "tick", at: T0 + 2, id: "b" },
    ]);
    assert.deepEqual(
      cameOf(
        log
          .watermark(T0 + 9)
          .watermark(T0 + 20)
          .watermark(T0 + 21),
      ),
      ["0:2.0 d1 ticka", "0:4.0 d1 tickb"],
    );
  });
});

suite("a processing timer", () => {
  test("fires when the log's time has reached it", () => {
    const log = new ScriptLog().run([{ arm: "alarm", at: T0 + 5 }]).tick(4);
    assert.deepEqual(cameOf(log), []);
    assert.deepEqual(cameOf(log.tick(1)), ["0:3.0 d1 alarm"]);
  });

  test("fires before the entry that brought its time, on whatever subject and however bad that is", () => {
    const subjects = [
      "script.p0.j.other",
      "script.p0.r.table",
      "script.p0.m",
      "script.p0.b.1",
      "script.p0.j._log",
      "nonsense",
      "script.1.e.d1",
    ];
    for (const subject of subjects) {
      const log = new ScriptLog().run([{ arm: "alarm", at: T0 + 5 }]).raw(subject, "{", 5);
      assert.equal(cameOf(log)[0], "0:2.0 d1 alarm", subject);
    }
  });

  test("due at the same entry as event timers goes before them, also when it is armed meanwhile", () => {
    const steps: Step[] = [
      { arm: "tick", at: T0 - 10, id: "1", steps: [{ arm: "alarm", at: T0, id: "armed" }] },
      { arm: "tick", at: T0 - 9, id: "2" },
      { arm: "alarm", at: T0 + 1, id: "late" },
      { arm: "alarm", at: T0, id: "early" },
    ];
    const log = new ScriptLog().run(steps).tick(1);
    assert.deepEqual(cameOf(log), ["0:2.0 d1 alarmearly", "0:2.0 d1 alarmlate", "0:2.0 d1 tick1", "0:2.0 d1 alarmarmed", "0:2.0 d1 tick2"]);
  });
});

suite("timers due at one entry", () => {
  test("fire by time, then key, and those armed meanwhile in their place", () => {
    const log = new ScriptLog()
      .run(
        [
          { arm: "tick", at: T0 + 2 },
          { arm: "tick", at: T0 + 1, id: "x", steps: [{ arm: "tick", at: T0 + 2, id: "w" }] },
        ],
        { key: "b" },
      )
      .run(
        [
          { arm: "tick", at: T0 + 2 },
          { arm: "tick", at: T0 + 3 },
        ],
        { key: "c" },
      )
      .run(
        [
          { arm: "tick", at: T0 + 2, id: "z" },
          { arm: "tick", at: T0 + 2, id: "y" },
        ],
        { key: "a" },
      )
      .watermark(T0 + 9);
    const order = ["b tickx", "a ticky", "a tickz", "b tick", "b tickw", "c tick"];
    assert.deepEqual(
      cameOf(log),
      order.map((came) => `0:4.0 ${came}`),
    );
  });

  test("of one key and time fire by actor, then name, then id", () => {
    const Fired = Type.Object({ by: Type.String() });
    const arming = (name: string, timers: readonly ["b", "a"]) =>
      actor(name, {
        in: { go: stream("go", { schema: Type.Unknown() }) },
        out: { fired: output(`${name}.fired`, { schema: Fired }) },
        timers: { b: timer("event"), a: timer("event") },
        on: {
          go(ctx) {
            for (const one of timers) for (const id of ["2", "10", "1"]) ctx.timers[one].at(ctx.now, undefined, id);
          },
          b: (ctx, { id }) => ctx.out.fired({ by: `${name}.b${id}` }),
          a: (ctx, { id }) => ctx.out.fired({ by: `${name}.a${id}` }),
        },
      });
    const two = job("two", { log: "two", outOfOrderness: 0, actors: [arming("zebra", ["b", "a"]), arming("ant", ["b", "a"])] });
    const log = new TestLog("two").event({ type: "go" }).watermark(T0 + 1);
    const by = readOutputs(foldHistory(log.history(two)).outputs).map(({ data }) => data.by);
    assert.deepEqual(by, [
      "ant.a1",
      "ant.a10",
      "ant.a2",
      "ant.b1",
      "ant.b10",
      "ant.b2",
      "zebra.a1",
      "zebra.a10",
      "zebra.a2",
      "zebra.b1",
      "zebra.b10",
      "zebra.b2",
    ]);
  });

  test("each fall or stand alone: one that throws is a dead letter, and the next fires", () => {
    const log = new ScriptLog().run([
      { arm: "tick", at: T0, id: "1", steps: [{ add: 1 }] },
      { arm: "tick", at: T0, id: "2", steps: [{ add: 10 }, { fail: "broken" }] },
      { arm: "tick", at: T0, id: "3", steps: [{ say: "third" }] },
    ]);
    const outputs = outputsOf(log.watermark(T0 + 1), of);
    assert.deepEqual(
      outputs.map(({ type, data }) => [type, data.total]),
      [
        ["script.fired", 0],
        ["tidemark.dead-letter", undefined],
        ["script.fired", 1],
        ["script.said", 1],
      ],
    );
    const { timer: fired, error, handler, eventId } = outputs[1]!.data;
    assert.deepEqual(
      [fired, error, handler, eventId],
      [
        { name: "tick", id: "2", time: "2026-01-15T12:00:00.000Z", armedBy: "n1" },
        { name: "Error", message: "broken", code: "HANDLER_FAILED" },
        "script.tick",
        undefined,
      ],
    );
    assert.equal(foldHistory(log.history(of)).meta.counts.deadLettered, 1);
  });
});

suite("a storm", () => {
  const KEYS = 2_000;
  const storm = new ScriptLog();
  for (let i = 0; i < KEYS; i++) {
    const steps: Step[] = Array.from({ length: 10 }, (_, n) => ({
      arm: "tick",
      at: T0 + ((i * 7 + n * 13) % 100),
      id: `t${n}`,
      steps: n === 3 ? [{ add: n }] : [],
    }));
    storm.batch([runEvent({ id: "1", key: `k${i}`, steps })]);
  }
  storm.watermark(T0 + HOUR).run([{ say: "after" }], { key: "k5" });

  test("of 20,000 timers at one entry fires each once, in order, cut by commits and crashes or not", () => {
    const whole = foldHistory(storm.history(of));
    const outputs = readOutputs(whole.outputs);
    assert.equal(outputs.length, KEYS * 10 + 1);
    for (let i = 1; i < KEYS * 10; i++) {
      const [before, after] = [outputs[i - 1]!, outputs[i]!];
      assert(
        before.time < after.time ||
          (before.time === after.time && `${before.subject} ${before.data.id}` < `${after.subject} ${after.data.id}`),
      );
    }
    assert.equal(whole.meta.timers, 0);
    assert.deepEqual(bytesOf(foldHistory(storm.history(of), { commitEveryUnits: 1_009, crash: true, liveRowsMax: 100 })), bytesOf(whole));
    assert.deepEqual(bytesOf(foldHistory(storm.history(of), { commitEveryUnits: 397 })), bytesOf(whole));
  });
});

for (const [name, way] of Object.entries(INTERRUPTED)) {
  test(`any timers armed, moved, cancelled and failing give the same bytes with ${name}`, () => {
    fc.assert(
      fc.property(aScriptedHistory, (log) =>
        assert.deepEqual(bytesOf(foldHistory(log.history(of), way)), bytesOf(foldHistory(log.history(of)))),
      ),
      { numRuns: RUNS },
    );
  });
}

test("after any history that ended, no timer is left in any row", () => {
  fc.assert(
    fc.property(aScriptedHistory, (log) => {
      const folded = foldHistory(log.history(of));
      assert.equal(folded.meta.timers, 0);
      assert.equal(timerRows(folded.store), 0);
    }),
    { numRuns: RUNS },
  );
});
