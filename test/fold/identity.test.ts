import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatInstant } from "../../actors/model/time.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { cloudEvent, readOutputs, T0 } from "../support/entries.ts";
import { bytesOf, INTERRUPTED, outputsOf, runEvent, ScriptLog, scriptedJob } from "../support/scripted.ts";

const HOUR = 3_600_000;
const job = scriptedJob();
const countsOf = (log: ScriptLog) => foldHistory(log.history(job)).meta.counts;
const saidBy = (log: ScriptLog) =>
  outputsOf(log, job).map(({ type, data }) => data.text ?? (type === "tidemark.late" ? data.reason : type));

suite("the same event", () => {
  const first = runEvent({ id: "1", steps: [{ add: 1 }, { say: "applied" }] });

  const SAME: Readonly<Record<string, Record<string, unknown>>> = {
    "byte for byte": {},
    "in another time zone": { time: "2026-01-15T13:00:00+01:00" },
    "with more digits of its time": { time: "2026-01-15T12:00:00.000999Z" },
    "with its data's fields in another order": {},
    "with another trace": { traceparent: "00-1-1-00" },
    "with an extension that is no attribute of the content": { partition: 3 },
    "with a null where nothing was": { sequence: null, effectivetime: null },
  };
  for (const [name, changes] of Object.entries(SAME)) {
    test(`${name} is counted and changes nothing`, () => {
      const log = new ScriptLog().event(first);
      log.raw(log.subject("d1"), JSON.stringify({ ...cloudEvent(first), ...changes }));
      assert.deepEqual(saidBy(log), ["applied"]);
      assert.equal(countsOf(log).duplicate, 1);
    });
  }

  test("with the fields of its data in another order at every level is the same", () => {
    const log = new ScriptLog();
    const text = (data: string) => JSON.stringify({ ...cloudEvent(first), data: "@" }).replace('"@"', data);
    log.raw(log.subject("d1"), text('{"steps":[],"b":{"x":1,"y":[{"p":1,"q":2}]}}'));
    log.raw(log.subject("d1"), text('{ "b":{"y":[{"q":2,"p":1.0}],"x":1e0}, "steps":[] }'));
    assert.equal(countsOf(log).duplicate, 1);
  });

  test("of another source, or for another key, is another event", () => {
    const log = new ScriptLog()
      .event(first)
      .event({ ...first, source: "/other" })
      .event({ ...first, key: "d2" });
    assert.equal(countsOf(log).applied, 3);
  });

  test("is not mixed up where source and id run into each other", () => {
    const log = new ScriptLog().event({ ...first, source: "ab", id: "c" }).event({ ...first, source: "a", id: "bc" });
    assert.equal(countsOf(log).applied, 2);
  });

  test("in one batch counts once", () => {
    assert.deepEqual(saidBy(new ScriptLog().batch([first, first, first])), ["applied"]);
  });
});

suite("the same id with other content", () => {
  const first = runEvent({ id: "1", steps: [{ add: 1 }] });
  const OTHER: Readonly<Record<string, Record<string, unknown>>> = {
    "another value": runEvent({ id: "1", steps: [{ add: 2 }] }),
    "another time": { ...first, time: T0 + 1 },
    "another effective time": { ...first, effectivetime: formatInstant(T0) },
    "another sequence": { ...first, sequence: "7" },
    "another type": { ...first, type: "script.other" },
    "data that no schema takes": { ...first, data: null },
  };
  for (const [name, second] of Object.entries(OTHER)) {
    test(`${name} goes to duplicate-conflict, names the first position, and changes nothing`, () => {
      const log = new ScriptLog()
        .event(runEvent({ id: "0" }))
        .event(first)
        .event(second);
      const [conflict, ...more] = outputsOf(log, job);
      assert.equal(conflict?.type, "tidemark.duplicate-conflict");
      assert.deepEqual([conflict.data.eventId, conflict.data.firstPosition, conflict.position], ["1", "0:2.0", "0:3.0"]);
      assert.equal(more.length, 0);
      const { counts, watermark } = foldHistory(log.history(job)).meta;
      assert.deepEqual([counts.applied, counts.duplicateConflict, watermark], [2, 1, T0]);
    });
  }

  test("names the first position inside a batch", () => {
    const log = new ScriptLog().batch(["a", "b", "c"].map((id) => runEvent({ id }))).event(runEvent({ id: "c", steps: [{ add: 9 }] }));
    assert.equal(outputsOf(log, job)[0]?.data.firstPosition, "0:1.2");
  });

  test("names the first position also when that lies on a page of the dedupe set", () => {
    const log = new ScriptLog();
    for (let i = 0; i < 500; i++) log.batch([runEvent({ id: `a${i}` }), runEvent({ id: `b${i}` })]);
    for (const i of [0, 31, 32, 63, 250, 499]) log.event(runEvent({ id: `b${i}`, steps: [{ add: 1 }] }));
    for (const [name, way] of Object.entries({ undisturbed: {}, ...INTERRUPTED })) {
      const found = outputsOf(log, job, way).map((output) => output.data.firstPosition);
      assert.deepEqual(found, ["0:1.1", "0:32.1", "0:33.1", "0:64.1", "0:251.1", "0:500.1"], name);
    }
  });
});

suite("a key with thousands of events", () => {
  const log = new ScriptLog();
  for (let i = 0; i < 1_500; i++) log.event(runEvent({ id: `n${i}`, time: T0 + i, steps: [{ add: 1 }] }));
  for (let i = 1_499; i >= 0; i -= 7) log.event(runEvent({ id: `n${i}`, time: T0 + i, steps: [{ add: 1 }] }));

  test("knows every one of them again", () => {
    const counts = countsOf(log);
    assert.deepEqual([counts.applied, counts.duplicate], [1_500, 215]);
  });

  test("knows them again after a crash at every commit", () => {
    const undisturbed = bytesOf(foldHistory(log.history(job)));
    assert.deepEqual(bytesOf(foldHistory(log.history(job), { commitEveryUnits: 97, crash: true, liveRowsMax: 0 })), undisturbed);
  });

  test("forgets them when the watermark has passed their horizon, and its pages with them", () => {
    const grown = foldHistory(log.history(job));
    const rowsBefore = grown.store.scan("d", "e", 100).length;
    assert(rowsBefore > 20, `${rowsBefore} pages`);
    const later = new ScriptLog();
    later.entries.push(...log.entries);
    later.watermark(T0 + 4 * HOUR);
    for (let i = 0; i < 130; i++) later.event(runEvent({ id: `m${i}`, time: T0 + 4 * HOUR }));
    const folded = foldHistory(later.history(job), { commitEveryUnits: 50, crash: true });
    assert(folded.store.scan("d", "e", 100).length <= 2);
    assert.deepEqual(bytesOf(folded), bytesOf(foldHistory(later.history(job))));
  });
});

suite("what becomes of an event decides whether it is remembered", () => {
  const again = (first: ReturnType<typeof runEvent>, before?: (log: ScriptLog) => unknown) => {
    const log = new ScriptLog();
    before?.(log);
    log.event(first).event(first);
    return countsOf(log);
  };

  test("applied: the second is a duplicate", () => {
    assert.equal(again(runEvent({ id: "1" })).duplicate, 1);
  });

  test("dead-lettered: the second is a duplicate", () => {
    const counts = again(runEvent({ id: "1", steps: [{ fail: "no" }] }));
    assert.deepEqual([counts.deadLettered, counts.duplicate], [1, 1]);
  });

  test("late: the second is a duplicate", () => {
    const counts = again(runEvent({ id: "1", time: T0 - HOUR - 1 }), (log) => log.run([]));
    assert.deepEqual([counts.late, counts.duplicate], [1, 1]);
  });

  test("refused by the handler: the second is handled again", () => {
    const counts = again(runEvent({ id: "1", steps: [{ add: 1 }, { quarantine: "not-now" }] }));
    assert.deepEqual([counts.quarantined, counts.duplicate, counts.in], [2, 0, 2]);
  });

  test("undecidable: the second is undecidable again, and no handler ever sees it", () => {
    const log = new ScriptLog().run([]).event(runEvent({ id: "1", time: T0 - 2 * HOUR - 1, steps: [{ say: "never" }] }));
    log.event(runEvent({ id: "1", time: T0 - 2 * HOUR - 1, steps: [{ say: "never" }] }));
    assert.deepEqual(saidBy(log), ["undecidable", "undecidable"]);
    assert.equal(countsOf(log).late, 2);
  });
});

suite("at the horizon, to the millisecond", () => {
  const old = T0 - 2 * HOUR;

  test("an id is known until the watermark has passed its time by more than the horizon", () => {
    const known = new ScriptLog().run([{ say: "applied" }], { id: "1" }).watermark(T0 + 2 * HOUR);
    assert.equal(countsOf(known.run([{ say: "applied" }], { id: "1" })).duplicate, 1);
    const forgotten = new ScriptLog().run([{ say: "applied" }], { id: "1" }).watermark(T0 + 2 * HOUR + 1);
    const outputs = outputsOf(forgotten.run([{ say: "applied" }], { id: "1" }), job);
    assert.deepEqual(
      outputs.map((output) => output.data.reason ?? output.data.text),
      ["applied", "undecidable"],
    );
  });

  test("an event exactly at it is late, one a millisecond older undecidable", () => {
    const log = new ScriptLog()
      .run([])
      .run([], { time: old })
      .run([], { time: old - 1 });
    assert.deepEqual(saidBy(log), ["late", "undecidable"]);
    assert.deepEqual(
      readOutputs(foldHistory(log.history(job)).outputs).map((output) => output.data.behindMs),
      [2 * HOUR, 2 * HOUR + 1],
    );
  });
});
