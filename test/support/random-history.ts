/** Seeded random histories for the meter: disorder, duplicates, conflicts, late and poison events, batches, ticks, watermarks. */
import fc from "fast-check";
import { HOUR_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { type EventText, T0, TestLog } from "./entries.ts";

interface Step {
  readonly kind: "event" | "batch" | "tick" | "watermark" | "garbage";
  readonly events: readonly EventText[];
  readonly advance: number;
  readonly time: number;
}

const KEYS = ["d1", "d2", "NA", "null", "0", "__proto__", "käse", "a.b c"];

const anEvent: fc.Arbitrary<EventText> = fc
  .record({
    id: fc.integer({ min: 1, max: 60 }),
    key: fc.constantFrom(...KEYS),
    time: fc.integer({ min: -60 * HOUR_MS, max: 30 * HOUR_MS }),
    value: fc.constantFrom<unknown>(1, 2.5, -3, 0.1, "poison"),
    type: fc.constantFrom("meter.reading", "meter.reading", "meter.reading", "meter.reading", "unknown"),
  })
  .map(({ id, key, time, value, type }) => ({ id: `e${id}`, key, type, time: T0 + time, data: { deviceId: key, value } }));

const aStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("event", "event", "event", "batch", "tick", "watermark", "garbage"),
  events: fc.array(anEvent, { minLength: 1, maxLength: 5 }),
  advance: fc.constantFrom(0, 10, MINUTE_MS, 6 * MINUTE_MS, HOUR_MS, -MINUTE_MS),
  time: fc.integer({ min: -48 * HOUR_MS, max: 48 * HOUR_MS }),
});

export const aHistory: fc.Arbitrary<TestLog> = fc.array(aStep, { minLength: 1, maxLength: 40 }).map((steps) => {
  const log = new TestLog("meter");
  for (const step of steps) {
    if (step.kind === "event") log.event(step.events[0]!, step.advance);
    else if (step.kind === "batch") log.batch(step.events, step.advance);
    else if (step.kind === "tick") log.tick(step.advance);
    else if (step.kind === "watermark") log.watermark(T0 + step.time);
    else log.raw(log.subject("d1"), '{"broken', step.advance);
  }
  return log;
});
