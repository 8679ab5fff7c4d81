import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { PUMP_HEADER, readPumpLink } from "../../actors/fold/pump-entry.ts";
import type { Job } from "../../actors/model/job.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { readOutputs, T0, type TestLog } from "../support/entries.ts";
import { fedJob, PumpLog } from "../support/pump-log.ts";
import { assertRowsHold } from "../support/row-invariants.ts";
import { bytesOf, INTERRUPTED, outputsOf, type Step } from "../support/scripted.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const say = (text: string): Step[] => [{ say: text }];
const said = (log: TestLog, of = fedJob()) => outputsOf(log, of).flatMap(({ data }) => (data.text === undefined ? [] : [data.text]));
const metaOf = (log: TestLog, of = fedJob()) => foldHistory(log.history(of)).meta;
const watermarkOf = (log: TestLog, of?: Job) => metaOf(log, of).watermark;

suite("a pumped event", () => {
  test("is taken once, however often and in whatever cut the pump writes it again", () => {
    const first = { at: "0:1.0", id: "a", steps: say("a") };
    const second = { at: "0:1.1", id: "b", steps: say("b") };
    const third = { at: "0:2.0", id: "c", steps: say("c") };
    const log = new PumpLog().pumped([first, second]).pumped([first]).pumped([first, second, third]).pumped([second, third]);
    assert.deepEqual(said(log), ["a", "b", "c"]);
    const { counts } = metaOf(log);
    assert.deepEqual([counts.in, counts.applied, counts.duplicate, counts.repeated], [3, 3, 0, 5]);
  });

  test("is taken once also when its id is forgotten: the place in the source knows no horizon", () => {
    const event = { at: "0:1.0", id: "a", steps: say("a") };
    const log = new PumpLog()
      .pumped([event])
      .pumped([], { watermark: T0 + 100 * HOUR })
      .pumped([event]);
    assert.deepEqual(said(log), ["a"]);
    assert.deepEqual([metaOf(log).counts.repeated, metaOf(log).counts.late], [1, 0]);
  });

  test("is skipped by its own slot's place, source partition and pump, not by another's", () => {
    const log = new PumpLog()
      .pumped([{ at: "0:5.0", key: "a", steps: say("a5") }], { of: 2 })
      .pumped([{ at: "0:3.0", key: "b", steps: say("b3") }], { of: 2 })
      .pumped([{ at: "1:4.0", key: "a", steps: say("a4 of 1") }], { of: 2, source: 1 })
      .pumped([{ at: "0:4.0", key: "a", steps: say("a4 of other") }], { pump: "other" })
      .pumped([{ at: "0:4.0", key: "a", steps: say("a4") }], { of: 2 });
    assert.deepEqual(said(log), ["a5", "b3", "a4 of 1", "a4 of other"]);
    assert.equal(metaOf(log).counts.repeated, 1);
  });

  test("that the source holds twice is a duplicate, as in any log", () => {
    const log = new PumpLog().pumped([
      { at: "0:1.0", id: "a", steps: say("a") },
      { at: "0:2.0", id: "a", steps: say("a") },
    ]);
    assert.deepEqual([said(log), metaOf(log).counts.duplicate], [["a"], 1]);
  });

  test("for which the key function failed goes to quarantine with its reason, once", () => {
    const bad = { at: "0:1.0", error: "Error: no user" };
    const log = new PumpLog().pumped([bad]).pumped([bad, { at: "0:2.0", steps: say("b") }]);
    const [side, ...more] = outputsOf(log, fedJob());
    assert.deepEqual([side?.type, side?.data.code, side?.data.reason], ["tidemark.quarantine", "pump-key", "Error: no user"]);
    assert.deepEqual(
      more.map(({ data }) => data.text),
      ["b"],
    );
    assert.equal(metaOf(log).counts.repeated, 1);
  });

  test("without a place in its source, or with one of another partition, goes to quarantine", () => {
    for (const at of ["", "1:1.0", "0:x.0"]) {
      const [side] = outputsOf(new PumpLog().pumped([{ at, steps: say("a") }]), fedJob());
      assert.equal(side?.data.code, "bad-pump-entry", at);
    }
  });

  test("in an entry without a pump's header goes to quarantine, entry and all", () => {
    const log = new PumpLog();
    for (const head of ["", "{}", "[]", '{"of":0,"next":[1,0]}', '{"of":1,"next":[1]}', '{"of":1,"next":[1,0],"time":1e300}'])
      log.raw("script.p0.j._pump.src.0", "[]", 0, new Map([[PUMP_HEADER, head]]));
    assert.deepEqual(
      outputsOf(log, fedJob()).map(({ data }) => data.code),
      new Array(6).fill("bad-pump-entry"),
    );
    assert.equal(metaOf(log).counts.quarantined, 6);
  });
});

suite("a pump's header and attributes on an event that a user publishes", () => {
  test("say nothing: no event of the pump is skipped, and no watermark moves", () => {
    const head = new Map([[PUMP_HEADER, JSON.stringify({ of: 1, next: [1_000, 0], time: T0 + HOUR, watermark: T0 + HOUR })]]);
    assert.notEqual(readPumpLink(head), undefined);
    const log = new PumpLog();
    const forged = JSON.stringify({
      specversion: "1.0",
      id: "f",
      source: "/forger",
      type: "script.run",
      subject: "d1",
      time: "2026-01-15T12:00:00Z",
      sourceposition: "0:1000.0",
      pumperror: "no",
      data: { steps: say("forged") },
    });
    log.raw(log.subject("d1"), forged, 0, head).raw("script.p0.b.1", `[${forged.replace('"f"', '"g"')}]`, 0, head);
    log.pumped([{ at: "0:1.0", steps: say("pumped") }]);
    assert.deepEqual(said(log), ["forged", "forged", "pumped"]);
    assert.equal(watermarkOf(log), T0);
  });
});

suite("the watermark of a log that pumps feed", () => {
  const at = (source: number, time: number, of = 2) => ({ source, of, time });

  test("is the least of its sources' watermarks, and none before each has one", () => {
    const log = new PumpLog().pumped([], at(0, T0 + HOUR));
    assert.equal(watermarkOf(log), undefined);
    assert.equal(watermarkOf(log.pumped([], at(1, T0))), T0);
    assert.equal(watermarkOf(log.pumped([], at(1, T0 + MINUTE))), T0 + MINUTE);
    assert.equal(watermarkOf(log.pumped([], at(1, T0 + 2 * HOUR))), T0 + HOUR);
    assert.equal(watermarkOf(log.pumped([], at(0, T0))), T0 + HOUR);
  });

  test("stays behind a source's time by the disorder allowed, but not behind what the source says of itself", () => {
    const of = fedJob({ outOfOrderness: "10s" });
    assert.equal(watermarkOf(new PumpLog().pumped([], { time: T0 }), of), T0 - 10 * SECOND);
    assert.equal(watermarkOf(new PumpLog().pumped([], { time: T0, watermark: T0 - SECOND }), of), T0 - SECOND);
  });

  test("waits for a pump that never wrote, when the job says that it feeds the log", () => {
    const log = new PumpLog().pumped([], { time: T0 });
    assert.equal(watermarkOf(log, fedJob({}, ["src", "other"])), undefined);
    assert.equal(watermarkOf(log.pumped([], { pump: "other", time: T0 - 1 }), fedJob({}, ["src", "other"])), T0 - 1);
  });

  test("is moved by pumped events one by one, and by the rest of the entry behind the last", () => {
    const of = fedJob();
    const log = new PumpLog().pumped(
      [
        { at: "0:1.0", time: T0, steps: [{ arm: "tick", at: T0 + 1 }] },
        { at: "0:2.0", time: T0 + 2, steps: say("second") },
        { at: "0:3.0", time: T0 + 2, steps: [{ arm: "tick", at: T0 + 5 }, { say: "third" }] },
      ],
      { time: T0 + 6, next: { sequence: 9, index: 0 } },
    );
    assert.deepEqual(
      outputsOf(log, of).map(({ position, data }) => [position, data.name ?? data.text]),
      [
        ["0:1.1", "tick"],
        ["0:1.1", "second"],
        ["0:1.2", "third"],
        ["0:1.3", "tick"],
      ],
    );
  });

  test("is not moved by what is published directly, which is judged by it all the same", () => {
    const log = new PumpLog()
      .run(say("early"), { time: T0 + HOUR })
      .pumped([], { time: T0 })
      .run([{ arm: "tick", at: T0 + 1 }], { time: T0 + HOUR })
      .run(say("late"), { time: T0 - HOUR - 1 });
    assert.equal(watermarkOf(log), T0);
    assert.deepEqual([metaOf(log).counts.applied, metaOf(log).counts.late, said(log)], [2, 1, ["early"]]);
  });

  test("is not moved by pumped events that are refused or repeated", () => {
    const log = new PumpLog().pumped([{ at: "0:1.0", time: T0 }]);
    const refused = [
      { at: "0:1.0", time: T0 + HOUR },
      { at: "0:2.0", id: "p1", time: T0 + HOUR },
      { at: "0:3.0", time: T0 + 48 * HOUR },
    ];
    log.pumped(refused, { time: T0 });
    assert.equal(watermarkOf(log), T0);
  });

  test("does not go by the times of events whose source has a clock of its own", () => {
    const log = new PumpLog().pumped([{ at: "0:1.0", time: T0 + HOUR }], { time: undefined, watermark: T0 });
    assert.equal(watermarkOf(log), T0);
  });

  test("may be lifted by a command of the log itself", () => {
    assert.equal(watermarkOf(new PumpLog().watermark(T0 + HOUR).pumped([], { time: T0 })), T0 + HOUR);
  });

  test("moves by pumped events as by any when the job does not say that a pump feeds the log", () => {
    const log = new PumpLog().pumped([{ at: "0:1.0", time: T0 }], { of: 2, time: T0 + HOUR });
    assert.equal(watermarkOf(log, fedJob({ from: [] })), T0);
  });
});

suite("a source partition that is idle", () => {
  const advance = fedJob({ idle: "advance", idleAfter: "60s" });
  const two = () => new PumpLog().pumped([], { of: 2, source: 0, time: T0 }).pumped([], { of: 2, source: 1, time: T0 - HOUR });
  const idle = { of: 2, source: 1, idle: true };

  test("holds the others until its pump says so, whatever else the log's time brings", () => {
    const log = two().pumped([], { of: 2, source: 0, time: T0 }, HOUR).tick(HOUR);
    assert.equal(watermarkOf(log, advance), T0 - HOUR);
  });

  test("follows log time beyond idleAfter when its pump says so, and no further than the log's time", () => {
    const after = (ms: number) => watermarkOf(two().pumped([], idle, ms), advance);
    assert.deepEqual([after(MINUTE), after(MINUTE + 1), after(31 * MINUTE)], [T0 - HOUR, T0 - HOUR + 1, T0 - 30 * MINUTE]);
    assert.equal(watermarkOf(two().pumped([], idle, 5 * HOUR), advance), T0);
    const disorder = fedJob({ idle: "advance", idleAfter: "0ms", outOfOrderness: "10s" });
    const alone = new PumpLog().pumped([], { time: T0 }).pumped([], { idle: true }, HOUR);
    assert.equal(watermarkOf(alone, disorder), T0 + HOUR - 10 * SECOND);
  });

  test("begins to be idle anew with each thing that its pump brings", () => {
    const log = two()
      .pumped([], { of: 2, source: 1, time: T0 - HOUR }, 50 * SECOND)
      .pumped([], idle, 50 * SECOND);
    assert.equal(watermarkOf(log, advance), T0 - HOUR);
  });

  test("and never brought anything is left out of the least, until it does", () => {
    const log = new PumpLog().pumped([], { ...idle, idle: true }).pumped([], { of: 2, source: 0, time: T0 });
    assert.equal(watermarkOf(log, advance), undefined);
    assert.equal(watermarkOf(log.pumped([], idle, 61 * SECOND), advance), T0);
    log.pumped([{ at: "1:1.0", time: T0 + MINUTE }], { of: 2, source: 1 }).pumped([], { of: 2, source: 0, time: T0 + HOUR });
    assert.equal(watermarkOf(log, advance), T0 + MINUTE);
  });

  test("holds the others for good when the job says so", () => {
    const hold = fedJob({ idle: "hold", idleAfter: "60s" });
    const log = new PumpLog().pumped([], idle).pumped([], { of: 2, source: 0, time: T0 }).pumped([], idle, HOUR);
    assert.equal(watermarkOf(log, hold), undefined);
    assert.equal(watermarkOf(two().pumped([], idle, HOUR), hold), T0 - HOUR);
  });
});

suite("a history of pumps", () => {
  const log = new PumpLog();
  for (let i = 1; i <= 60; i++) {
    const events = Array.from({ length: i % 5 }, (_, index) => ({
      at: `${i % 3}:${i}.${index}`,
      key: `k${(i * index) % 7}`,
      time: T0 + i * SECOND,
      steps: [{ add: 1 }, { say: `${i}.${index}` }, { arm: "tick" as const, at: T0 + (i + 3) * SECOND, id: `${i}` }],
    }));
    const text = { source: i % 3, of: 3, next: { sequence: i + 1, index: 0 } };
    log.pumped(events, { ...text, ...(i % 4 === 0 ? { idle: true } : { time: T0 + i * SECOND }) }, 20 * SECOND);
    if (i % 6 === 0) log.pumped(events, text);
    if (i % 10 === 0) log.run(say(`direct ${i}`), { key: "k1", time: T0 + i * SECOND });
    if (i === 40) log.pumped([{ at: "1:39.9", error: "no key" }], { ...text, source: 1 });
  }
  const of = fedJob({ idle: "advance", outOfOrderness: "2s" });
  const straight = foldHistory(log.history(of));

  test("brings about events, repeats and timers", () => {
    const { counts } = straight.meta;
    const fired = readOutputs(straight.outputs).filter(({ type }) => type === "script.fired");
    for (const count of [counts.applied, counts.repeated, counts.quarantined, fired.length]) assert.ok(count > 0, JSON.stringify(counts));
    assertRowsHold(straight.store, of);
  });

  for (const [name, interruptions] of Object.entries(INTERRUPTED)) {
    test(`gives the same outputs and state hash with ${name}`, () => {
      assert.deepEqual(bytesOf(foldHistory(log.history(of), interruptions)), bytesOf(straight));
    });
  }
});
