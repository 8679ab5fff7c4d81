import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { readOutputs, T0, TestLog } from "../support/entries.ts";
import { outputsOf, ScriptLog, scriptedJob } from "../support/scripted.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const watermarkOf = (log: TestLog, of = scriptedJob()) => foldHistory(log.history(of)).meta.watermark;
const typesOf = (log: ScriptLog, of = scriptedJob()) => outputsOf(log, of).map(({ type, data }) => data.reason ?? data.text ?? type);

suite("the watermark", () => {
  test("is the greatest event time less the disorder allowed, and never falls", () => {
    const of = scriptedJob({ outOfOrderness: "10s" });
    const log = new ScriptLog();
    assert.equal(watermarkOf(log, of), undefined);
    assert.equal(watermarkOf(log.run([]), of), T0 - 10 * SECOND);
    assert.equal(watermarkOf(log.run([], { time: T0 - MINUTE }), of), T0 - 10 * SECOND);
    assert.equal(watermarkOf(log.run([], { time: T0 + 1 }), of), T0 + 1 - 10 * SECOND);
  });

  test("is lifted by one key for all keys of the shard", () => {
    const log = new ScriptLog().run([], { key: "a", time: T0 + 9 }).run([{ say: "x" }], { key: "b", time: T0 });
    assert.equal(outputsOf(log, scriptedJob())[0]?.data.watermark, T0 + 9);
  });

  test("is lifted by an event whose handler throws: it was valid", () => {
    assert.equal(watermarkOf(new ScriptLog().run([{ fail: "no" }], { time: T0 + 5 })), T0 + 5);
  });

  test("is not lifted by duplicates, conflicts, and what is undecidable", () => {
    const log = new ScriptLog().run([], { id: "1" });
    log
      .run([{ add: 1 }], { id: "1", time: T0 + 5 })
      .run([], { id: "1" })
      .run([], { time: T0 - 3 * HOUR });
    assert.equal(watermarkOf(log), T0);
  });

  test("may be lifted by a command of the log, and is not lowered by one", () => {
    const log = new ScriptLog()
      .run([])
      .watermark(T0 + HOUR)
      .watermark(T0);
    assert.equal(watermarkOf(log), T0 + HOUR);
  });

  test("may be set by a command before any event", () => {
    assert.equal(watermarkOf(new ScriptLog().watermark(T0)), T0);
  });

  test("moves only with what is at most a day ahead of its own log time", () => {
    const at = (ahead: number) => watermarkOf(new ScriptLog().run([], { time: T0 + ahead }));
    assert.deepEqual([at(DAY), at(DAY + 1)], [T0 + DAY, undefined]);
    const narrow = scriptedJob({ maxAhead: "1s" });
    assert.equal(watermarkOf(new ScriptLog().run([], { time: T0 + 1_001 }), narrow), undefined);
    // The log's clock stepped back: what counts is the time of the entry itself, not the greatest seen.
    const stepped = new ScriptLog().run([], { advance: HOUR }).run([], { time: T0 + 1_001, advance: -HOUR });
    assert.equal(watermarkOf(stepped, narrow), T0);
  });
});

suite("an event against the watermark, to the millisecond", () => {
  const against = (time: number) =>
    foldHistory(
      new ScriptLog()
        .run([])
        .run([{ say: "applied" }], { time })
        .history(scriptedJob()),
    );

  test("at it is on time, before it is behind and applied", () => {
    assert.equal(against(T0).meta.counts.behind, 0);
    const behind = against(T0 - 1);
    assert.deepEqual([behind.meta.counts.behind, behind.meta.counts.applied], [1, 2]);
    assert.equal(readOutputs(behind.outputs)[0]?.data.text, "applied");
  });

  test("at the allowed lateness is applied, a millisecond before is late", () => {
    assert.equal(against(T0 - HOUR).meta.counts.behind, 1);
    const late = against(T0 - HOUR - 1);
    assert.deepEqual([late.meta.counts.late, late.meta.counts.behind, late.meta.counts.applied], [1, 0, 1]);
    const [side] = readOutputs(late.outputs);
    assert.deepEqual([side?.type, side?.data.reason, side?.data.behindMs], ["tidemark.late", "late", HOUR + 1]);
    assert.deepEqual(
      [side?.data.watermark, side?.data.eventId, side?.time],
      ["2026-01-15T12:00:00.000Z", "n2", "2026-01-15T10:59:59.999Z"],
    );
  });

  test("is judged by the watermark that itself has lifted, not by the one before", () => {
    const log = new ScriptLog().watermark(T0 + 5).run([], { time: T0 + 5 });
    assert.equal(foldHistory(log.history(scriptedJob())).meta.counts.behind, 0);
  });
});

suite("a late handler", () => {
  const Seen = Type.Object({ behind: Type.Boolean(), late: Type.Boolean() });
  const of = (late: "says" | "throws") =>
    job("catcher", {
      log: "catcher",
      outOfOrderness: 0,
      allowedLateness: "1h",
      actors: [
        actor("catcher", {
          in: { any: stream("any", { schema: Type.Unknown() }) },
          out: { seen: output("seen", { schema: Seen }) },
          on: { any: (ctx, _event, { behind }) => ctx.out.seen({ behind, late: false }) },
          late(ctx, _event, { behind }) {
            if (late === "throws") throw new Error("too late");
            ctx.out.seen({ behind, late: true });
          },
        }),
      ],
    });
  const log = () => new TestLog("catcher").event({ id: "1", type: "any" }).event({ id: "2", type: "any", time: T0 - HOUR - 1 });

  test("gets what is behind the allowed lateness instead of the side output", () => {
    const { outputs, meta } = foldHistory(log().history(of("says")));
    assert.deepEqual(
      readOutputs(outputs).map((output) => output.data),
      [
        { behind: false, late: false },
        { behind: false, late: true },
      ],
    );
    assert.deepEqual([meta.counts.late, meta.counts.applied], [1, 1]);
  });

  test("does not get what is undecidable", () => {
    const { outputs } = foldHistory(
      log()
        .event({ id: "3", type: "any", time: T0 - 25 * HOUR })
        .history(of("says")),
    );
    assert.equal(readOutputs(outputs).at(-1)?.data.reason, "undecidable");
  });

  test("that throws makes a dead letter, counted once", () => {
    const { outputs, meta } = foldHistory(log().history(of("throws")));
    assert.equal(readOutputs(outputs).at(-1)?.type, "tidemark.dead-letter");
    assert.deepEqual([meta.counts.in, meta.counts.applied, meta.counts.late, meta.counts.deadLettered], [2, 1, 0, 1]);
  });
});

suite("idleness", () => {
  const advance = (idleAfter = "60s", outOfOrderness: string | number = 0) => scriptedJob({ idle: "advance", idleAfter, outOfOrderness });

  test("moves nothing when it is to hold", () => {
    assert.equal(watermarkOf(new ScriptLog().run([]).tick(DAY)), T0);
  });

  test("counts only log time beyond idleAfter", () => {
    const after = (ms: number) => watermarkOf(new ScriptLog().run([], { time: T0 - DAY }).tick(ms), advance());
    assert.deepEqual([after(MINUTE), after(MINUTE + 1), after(2 * MINUTE)], [T0 - DAY, T0 - DAY + 1, T0 - DAY + MINUTE]);
  });

  test("adds up over many ticks, as over one", () => {
    const log = new ScriptLog().run([], { time: T0 - DAY });
    for (let i = 0; i < 120; i++) log.tick(SECOND);
    assert.equal(watermarkOf(log, advance()), T0 - DAY + MINUTE);
  });

  test("never lifts the watermark over processing time less the disorder allowed", () => {
    const log = new ScriptLog().run([]).tick(HOUR);
    assert.equal(watermarkOf(log, advance("0ms", "10s")), T0 + HOUR - 10 * SECOND);
    // The event was a minute ahead of the log: idleness may lift no further than the log's own time.
    assert.equal(watermarkOf(new ScriptLog().run([], { time: T0 + MINUTE }).tick(1), advance("0ms")), T0 + MINUTE);
    assert.equal(watermarkOf(new ScriptLog().run([], { time: T0 + MINUTE }).tick(2 * MINUTE), advance("0ms")), T0 + 2 * MINUTE);
  });

  test("begins anew with each valid event, and with no other entry", () => {
    const pause = 40 * SECOND;
    const fed = new ScriptLog()
      .run([], { time: T0 - DAY })
      .run([], { time: T0 - DAY, advance: pause })
      .tick(pause);
    assert.equal(watermarkOf(fed, advance()), T0 - DAY);
    const refused = new ScriptLog().run([], { id: "1", time: T0 - DAY });
    refused
      .run([], { id: "1", time: T0 - DAY, advance: pause })
      .event({ type: "unknown" })
      .tick(pause);
    assert.equal(watermarkOf(refused, advance()), T0 - DAY + 20 * SECOND);
  });

  test("before the first event moves nothing: there is no time to go on from", () => {
    assert.equal(
      watermarkOf(
        new ScriptLog()
          .tick(DAY)
          .watermark(T0 - DAY)
          .tick(DAY),
        advance(),
      ),
      T0 - DAY,
    );
  });

  test("an historical file that pauses for an hour moves by an hour, not to the clock", () => {
    const log = new ScriptLog()
      .run([], { time: T0 - 300 * DAY })
      .run([{ say: "behind" }], { time: T0 - 300 * DAY + MINUTE, advance: HOUR });
    assert.deepEqual(typesOf(log, advance()), ["behind"]);
    assert.equal(watermarkOf(log, advance()), T0 - 300 * DAY + 59 * MINUTE);
  });

  test("is noticed before the entry that ends it is folded, also one of another job's journal", () => {
    const log = new ScriptLog()
      .run([{ arm: "tick", at: T0 - DAY + 1 }], { time: T0 - DAY })
      .run([{ say: "next" }], { time: T0 - DAY + 2, advance: HOUR });
    const said = outputsOf(log, advance()).map(({ position, data }) => [position, data.name ?? data.text]);
    assert.deepEqual(said, [
      ["0:2.0", "tick"],
      ["0:2.0", "next"],
    ]);
  });
});

suite("the log's clock", () => {
  test("stepping back moves processing time nowhere", () => {
    const processingTimeOf = (log: ScriptLog) => foldHistory(log.history(scriptedJob())).meta.processingTime;
    const log = new ScriptLog().run([{ arm: "alarm", at: T0 + 5 }]).tick(4);
    assert.equal(processingTimeOf(log.tick(-HOUR)), T0 + 4);
    assert.equal(processingTimeOf(log.tick(HOUR)), T0 + 4);
    assert.deepEqual(outputsOf(log, scriptedJob()), []);
    assert.deepEqual(
      outputsOf(log.tick(1).tick(-HOUR), scriptedJob()).map((output) => output.position),
      ["0:5.0"],
    );
    assert.equal(processingTimeOf(log), T0 + 5);
  });

  test("stepping back sets off what is armed for a time that processing time has reached", () => {
    const log = new ScriptLog()
      .tick(HOUR)
      .run([{ arm: "alarm", at: T0 + HOUR }], { advance: -HOUR })
      .tick();
    assert.deepEqual(
      outputsOf(log, scriptedJob()).map((output) => output.position),
      ["0:3.0"],
    );
  });

  test("stepping back does not re-fire, and idleness does not count it twice", () => {
    const of = scriptedJob({ idle: "advance", idleAfter: "0ms" });
    const log = new ScriptLog()
      .run([], { time: T0 - DAY })
      .tick(HOUR)
      .tick(-HOUR)
      .tick(HOUR);
    assert.equal(watermarkOf(log, of), T0 - DAY + HOUR);
  });
});
