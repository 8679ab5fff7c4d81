import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import { Fold } from "../../actors/fold/fold.ts";
import { writeOwner, writeRedrive } from "../../actors/fold/journal.ts";
import { META_ROW } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import { reference } from "../../actors/model/reference.ts";
import { DAY_MS, HOUR_MS } from "../../actors/model/time.ts";
import { primitives } from "../../runtime/primitives.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { cloudEvent, identityFor, type ReferenceText, readOutputs, T0 } from "../support/entries.ts";
import { assertRowsHold } from "../support/row-invariants.ts";
import { bytesOf, INTERRUPTED, outputsOf, runEvent, ScriptLog, scriptedJob } from "../support/scripted.ts";

const of = scriptedJob({ outOfOrderness: "30d", allowedLateness: "30d", dedupeHorizon: "90d" });
const TABLE = "_schemas";
const TYPE = "script.run";

/** At most so many steps. */
const atMost = (maxItems: number): object => ({ properties: { steps: { maxItems } } });
const version = (number: number, from: number, data: unknown, id = TYPE): ReferenceText => ({ id, version: number, from, data });

/** An event that says its text, with so many steps in all. */
const say = (log: ScriptLog, text: string, time: number, steps = 1): ScriptLog =>
  log.run([{ say: text }, ...Array.from({ length: steps - 1 }, () => ({ add: 1 }))], { time });

/** What each event said, and each quarantine's code and reason. */
function found(log: ScriptLog, job = of): string[] {
  return outputsOf(log, job).map(({ data }) => String(data.text ?? `${data.code}: ${data.reason}`));
}

const refused = (number: number, at = "/steps must not have more than 1 items"): string =>
  `schema: data ${at} (schema version ${number} of ${TYPE})`;

suite("an activated schema", () => {
  test("holds events behind its entry to it, from its time on, and no others", () => {
    const log = say(new ScriptLog(), "before its entry", T0 + 10, 2).reference(TABLE, version(1, T0, atMost(1)));
    say(say(say(log, "before its time", T0 - 1, 2), "too much", T0, 2), "fits", T0);
    assert.deepEqual(found(log), ["before its entry", "before its time", refused(1), "fits"]);
  });

  test("in the future waits for its time", () => {
    const log = new ScriptLog().reference(TABLE, version(1, T0 + HOUR_MS, atMost(1)));
    say(say(log, "before", T0 + HOUR_MS - 1, 2), "from then on", T0 + HOUR_MS, 2);
    assert.deepEqual(found(log), ["before", refused(1)]);
  });

  test("is tightened, loosened and ended by later versions, each from its time on", () => {
    const log = new ScriptLog().reference(TABLE, version(1, T0, atMost(2))).reference(TABLE, version(2, T0 + 100, atMost(1)));
    log.reference(TABLE, version(3, T0 + 200, null)).reference(TABLE, version(4, T0 + 300, atMost(1)));
    for (const time of [T0, T0 + 100, T0 + 200, T0 + 300]) say(log, `at ${time - T0}`, time, 2);
    assert.deepEqual(found(log), ["at 0", refused(2), "at 200", refused(4)]);
  });

  test("is corrected by a higher version with the same time", () => {
    const log = say(new ScriptLog().reference(TABLE, version(1, T0, atMost(1))), "too much", T0, 2);
    say(log.reference(TABLE, version(2, T0, atMost(2))), "fits now", T0, 2);
    assert.deepEqual(found(log), [refused(1), "fits now"]);
  });

  test("counts besides the build's own schema, which is asked first", () => {
    const log = new ScriptLog().reference(TABLE, version(1, T0, { properties: { steps: { type: "string" } } }));
    log.event({ id: "a", type: TYPE, data: { steps: "text" } }).event({ id: "b", type: TYPE, data: { steps: [] } });
    assert.deepEqual(found(log), ["schema: data /steps must be array", refused(1, "/steps must be string")]);
  });

  test("of another type, or of none that the job takes, changes nothing, and is kept", () => {
    const log = new ScriptLog().reference(TABLE, version(1, T0, { not: {} }, "other.type"));
    assert.deepEqual(found(say(log, "here", T0)), ["here"]);
    assert.notEqual(foldHistory(log.history(of)).stateHash, foldHistory(say(new ScriptLog(), "here", T0).history(of)).stateHash);
  });

  test("refuses an event as a bad one is: it lifts no watermark and is not remembered, so a corrected one comes through", () => {
    const strict = scriptedJob();
    const log = new ScriptLog(T0 + DAY_MS).reference(TABLE, version(1, T0, atMost(1)));
    log.event(runEvent({ id: "same", time: T0 + HOUR_MS, steps: [{ add: 1 }, { add: 1 }] }));
    log.event(runEvent({ id: "same", time: T0, steps: [{ say: "corrected" }] }));
    assert.deepEqual(found(log, strict), [refused(1), "corrected"]);
  });

  test("in a batch refuses the one event, and its neighbours are applied", () => {
    const log = new ScriptLog().reference(TABLE, version(1, T0, atMost(1)));
    log.batch([runEvent({ id: "a", steps: [{ say: "one" }] }), runEvent({ id: "b", steps: [{ add: 1 }, { add: 1 }] })]);
    log.batch([runEvent({ id: "c", steps: [{ say: "three" }] })]);
    assert.deepEqual(found(log), ["one", refused(1), "three"]);
  });

  test("holds a dead letter that is put back behind it to it", () => {
    const JOURNAL = "script.p0.j.script";
    const event = cloudEvent(runEvent({ id: "bad", time: T0, steps: [{ fail: "no" }, { add: 1 }] }));
    const redrive = writeRedrive({ deadLetter: "script.0.1", who: "ann", reason: undefined, handler: `script.${TYPE}`, of: { event } });
    const log = new ScriptLog().raw(JOURNAL, writeOwner("t", "n"));
    log.run([{ fail: "no" }, { add: 1 }], { id: "bad", time: T0 }).reference(TABLE, version(1, T0, atMost(1)));
    const audit = outputsOf(log.raw(JOURNAL, redrive), of).at(-1)!;
    assert.equal(audit.type, "tidemark.audit");
    assert.match(JSON.stringify(audit.data), /schema version 1 of script\.run/);
  });

  test("is no table that an actor could read", () => {
    assert.throws(() => reference(TABLE, { schema: Type.Object({}) }), /matches/);
  });

  test("that another build kept and this one does not understand refuses its events and stops nothing", () => {
    const log = new ScriptLog().reference(TABLE, version(1, T0, { maxItems: 3 }));
    const { store } = foldHistory(log.history(of));
    // The same bytes as the row has, but for a keyword that no build knows.
    const committed = {
      get: (key: string) => {
        const bytes = store.get(key);
        return bytes === undefined
          ? undefined
          : Buffer.from(Buffer.from(bytes).toString("latin1").replace("maxItems", "maxSteps"), "latin1");
      },
      scan: (from: string, to: string, limit: number) => store.scan(from, to, limit),
    };
    const guard = { enter() {}, leave() {} };
    const meta = readMeta(store.get(META_ROW)!)!;
    const fold = new Fold({
      job: of,
      partition: 0,
      partitions: 1,
      committed,
      meta,
      primitives,
      guard,
      identity: identityFor(of),
      skips: new Map(),
    });
    for (const entry of say(log, "no", T0).entries.slice(1)) {
      fold.open(entry);
      while (fold.unit());
    }
    const [quarantined] = readOutputs(fold.takeOutputs());
    assert.match(String(quarantined!.data.reason), /cannot be checked by this build: schema \/ has the keyword "maxSteps".*version 1/);
  });
});

suite("an entry of activated schemas", () => {
  const text = (data: string): string => `{"id":"${TYPE}","version":1,"effectiveFrom":"2026-01-01T00:00:00Z","data":${data}}`;
  const HOSTILE: Readonly<Record<string, readonly [code: string, payload: string]>> = {
    "that is no JSON": ["bad-reference-entry", "{"],
    "with an unknown keyword": ["reference-schema", text('{"minimun":1}')],
    "with a remote reference": ["reference-schema", text('{"$ref":"https://example.com/s.json"}')],
    "that contains itself": ["reference-schema", text('{"$defs":{"a":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}')],
    "with a pattern that goes back": ["reference-schema", text('{"pattern":"(a)\\\\1"}')],
    "with a field __proto__": ["bad-reference-entry", text('{"properties":{"__proto__":{}}}')],
    "with a lone surrogate": ["bad-reference-entry", text('{"const":"\\ud800"}')],
    "nested without end": ["bad-reference-entry", text(`${'{"not":'.repeat(5_000)}{}${"}".repeat(5_000)}`)],
    "that is no schema": ["reference-schema", text("[]")],
    "with an id that cannot be one": [
      "bad-reference-entry",
      JSON.stringify({ ...version(1, T0, {}), id: "x".repeat(300), effectiveFrom: "2026-01-01T00:00:00Z" }),
    ],
    "over 64 KiB": ["oversize", text(`{"description":"${"x".repeat(64 * 1024)}"}`)],
  };
  for (const [what, [code, payload]] of Object.entries(HOSTILE)) {
    test(`${what} goes to quarantine as ${code}, and the order goes on behind it`, () => {
      const log = new ScriptLog().reference(TABLE, payload).reference(TABLE, version(2, T0, atMost(1)));
      const [first, ...rest] = found(say(say(log, "too much", T0, 2), "fits", T0));
      assert.equal(first!.split(":")[0], code);
      assert.deepEqual(rest, [refused(2), "fits"]);
    });
  }

  test("with a pattern that a matcher which goes back never finishes takes time in proportion to the event", () => {
    const log = new ScriptLog().reference(TABLE, version(1, T0, { properties: { note: { pattern: "^(([a-z])+.)+[A-Z]([a-z])+$" } } }));
    const data = { steps: [], note: "a".repeat(50_000) };
    const begun = performance.now();
    assert.match(found(log.event({ id: "a", type: TYPE, time: T0, data }))[0]!, /\/note must match pattern/);
    assert.ok(performance.now() - begun < 30_000);
  });
});

suite("activated schemas in a history", () => {
  const anEntry = fc.record({
    kind: fc.constantFrom("event", "event", "event", "batch", "schema", "bad schema", "twice"),
    from: fc.integer({ min: -5, max: 30 }),
    steps: fc.integer({ min: 1, max: 3 }),
    ended: fc.constantFrom(false, false, false, true),
    key: fc.constantFrom("a", "b"),
  });
  const aHistory = fc.array(anEntry, { maxLength: 25 }).map((entries) => {
    const log = new ScriptLog();
    entries.forEach(({ kind, from, steps, ended, key }, i) => {
      const event = runEvent({ id: `e${i}`, key, time: T0 + i, steps: Array.from({ length: steps }, () => ({ say: "x" })) });
      if (kind === "event") log.event(event);
      else if (kind === "batch") log.batch([event, { ...event, id: `f${i}` }]);
      else if (kind === "bad schema") log.reference(TABLE, version(i + 1, T0 + from, { maxItem: steps }));
      else if (kind === "schema") log.reference(TABLE, version(i + 1, T0 + from, ended ? null : atMost(steps)));
      else if (log.entries.length > 0) {
        const { subject, payload, headers } = log.entries.at(-1)!;
        log.raw(subject, payload, 0, headers);
      }
    });
    return log;
  });

  test("come to the same wherever the fold is cut by commits and crashes", () => {
    fc.assert(
      fc.property(aHistory, (log) => {
        const history = log.history(of);
        const whole = foldHistory(history);
        assertRowsHold(whole.store, of);
        for (const interruptions of Object.values(INTERRUPTED))
          assert.deepEqual(bytesOf(foldHistory(history, interruptions)), bytesOf(whole));
      }),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? 100) },
    );
  });
});
