/** Random histories of the scripted job: timers of both clocks armed, moved, cancelled and failing, in disorder and in batches. */
import fc from "fast-check";
import { T0 } from "./entries.ts";
import { runEvent, ScriptLog, type Step } from "./scripted.ts";

const someSteps = fc.constantFrom<readonly Step[]>(
  [],
  [{ add: 1 }],
  [{ fail: "no" }],
  [{ cancel: "tick", id: "a" }],
  [{ arm: "tick", at: T0 + 60, id: "b" }],
  [{ arm: "alarm", at: T0 + 70, id: "a" }],
  [{ look: "x" }],
);
const anId = fc.constantFrom("", "a", "b");
const aClock = fc.constantFrom("tick", "alarm");

const aStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ arm: aClock, at: fc.integer({ min: T0 - 20, max: T0 + 120 }), id: anId, steps: someSteps }) },
  { weight: 2, arbitrary: fc.record({ cancel: aClock, id: anId }) },
  { weight: 2, arbitrary: fc.record({ look: fc.constantFrom("x", "y", "z") }) },
  { weight: 1, arbitrary: fc.record({ look: fc.constantFrom("x", "y"), at: fc.integer({ min: T0 - 20, max: T0 + 120 }) }) },
  { weight: 2, arbitrary: fc.record({ say: fc.constantFrom("x", "y") }) },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ fail: "no" }, { quarantine: "not-this" }, { promise: true }) },
);

const anEntry = fc.record({
  /** An id of the last few comes again now and then. */
  again: fc.constantFrom(0, 0, 0, 0, 1, 3),
  key: fc.constantFrom("a", "b", "C"),
  time: fc.integer({ min: 0, max: 100 }),
  advance: fc.integer({ min: -3, max: 9 }),
  steps: fc.array(aStep, { maxLength: 5 }),
  batch: fc.boolean(),
  /** What the copiers do before the entry. */
  copied: fc.array(
    fc.record({
      kind: fc.constantFrom("next", "next", "next", "again", "behind a gap"),
      id: fc.constantFrom("x", "y"),
      /** Version 1 of an id that has others is refused, and so is a rate that is no number. */
      version: fc.constantFrom(0, 0, 0, 1),
      from: fc.integer({ min: -10, max: 110 }),
      rate: fc.constantFrom<unknown>(1, 2.5, -3, "no number"),
      ended: fc.constantFrom(false, false, false, true),
    }),
    { maxLength: 3 },
  ),
});

/** Ends with a watermark and a tick that set off everything. */
export const aScriptedHistory: fc.Arbitrary<ScriptLog> = fc.array(anEntry, { maxLength: 25 }).map((entries) => {
  const log = new ScriptLog();
  let source = 0;
  entries.forEach(({ again, key, time, advance, steps, batch, copied }, i) => {
    const event = runEvent({ id: `n${i - again}`, key, time: T0 + time, steps });
    for (const { kind, id, version, from, rate, ended } of copied) {
      if (kind === "next") source++;
      const link = kind === "behind a gap" ? { source: source + 2, previous: source + 1 } : { source, previous: source - 1 };
      const record = { id, version: version === 0 ? log.entries.length + 1 : version, from: T0 + from, data: ended ? null : { rate } };
      if (link.source > 0) log.reference("rates", record, link);
    }
    if (batch) log.batch([event, runEvent({ id: `m${i}`, key: "a", time: T0 + time + 1, steps })], advance);
    else log.event(event, advance);
  });
  return log.watermark(T0 + 1_000).tick(10_000);
});
