/** Random histories for the job in which everything meets: every kind of entry, good ones and others. */
import fc from "fast-check";
import { inputHash } from "../../actors/fold/call-row.ts";
import { writeOwner, writeRedrive } from "../../actors/fold/journal.ts";
import { type Outcome, writeResults } from "../../actors/fold/result-entry.ts";
import { formatInstant, MINUTE_MS } from "../../actors/model/time.ts";
import { primitives } from "../../runtime/primitives.ts";
import { cloudEvent, type EventText, T0, TestLog } from "./entries.ts";
import { type Act, type ActorName, type Acts, guess } from "./everything-app.ts";

const JOURNAL = "all.p0.j.all";
const HASH = inputHash(primitives.sha256, guess.target, '{"n":1}');

const anAct: fc.Arbitrary<Act> = fc.record({
  do: fc.constantFrom(
    ...(["value", "count", "map", "map", "list", "list", "set", "drop", "clear", "shift"] as const),
    ...(["tick", "tick", "alarm", "alarm", "cancel", "cancel", "ask", "ask", "look", "say", "say"] as const),
  ),
  id: fc.constantFrom("a", "a", "", "käse"),
  at: fc.constantFrom(-1, 0, 1, 1_000, MINUTE_MS, 3 * MINUTE_MS),
});

const acts: fc.Arbitrary<Acts> = fc
  .record({
    acts: fc.array(anAct, { maxLength: 5 }),
    later: fc.array(anAct, { maxLength: 2 }),
    end: fc.constantFrom("", "", "", "", "", "", "fail", "fail", "quarantine"),
    by: fc.constantFrom<ActorName>("first", "second"),
  })
  .map(({ acts, later, end, by }) => ({ acts, later, ...(end === "" ? {} : { [end]: by }) }));

interface EventStep {
  readonly id: number;
  readonly key: string;
  /** Behind the history's own clock, in milliseconds. */
  readonly behind: number;
  readonly data: Acts;
  readonly bad: boolean;
}

const anEvent: fc.Arbitrary<EventStep> = fc.record({
  id: fc.integer({ min: 1, max: 40 }),
  key: fc.constantFrom("a", "b", "käse"),
  behind: fc.constantFrom(0, 0, 0, 5_000, MINUTE_MS, 3 * MINUTE_MS, 9 * MINUTE_MS),
  data: acts,
  bad: fc.constantFrom(false, false, false, false, true),
});

type Kind =
  | "event"
  | "batch"
  | "tick"
  | "watermark"
  | "owner"
  | "results"
  | "redrive event"
  | "redrive timer"
  | "reference"
  | "garbage"
  | "again";

const aStep = fc.record({
  kind: fc.constantFrom<Kind>(
    ...(["event", "event", "event", "event", "batch", "batch", "tick", "watermark", "owner", "results", "results"] as const),
    ...(["redrive event", "redrive timer", "reference", "garbage", "again", "again"] as const),
  ),
  events: fc.array(anEvent, { minLength: 1, maxLength: 4 }),
  advance: fc.constantFrom(0, 10, 5_000, MINUTE_MS, 4 * MINUTE_MS),
  number: fc.integer({ min: 0, max: 12 }),
  which: fc.constantFrom<Outcome>(
    { output: 1 },
    { output: { b: 1, a: [null] } },
    { failed: { code: "DOWN", message: "no" } },
    { failed: { code: "BREAKS", message: "" } },
  ),
});

type Step = typeof aStep extends fc.Arbitrary<infer T> ? T : never;

const GARBAGE = ['{"kind":"owner","token":"\\ud800","node":""}', "[[[[", '{"kind":"result","term":1,"results":[{}]}', '{"kind":"redrive"}'];

function eventOf({ id, key, behind, data, bad }: EventStep, clock: number): EventText {
  return { id: `e${id}`, key, type: "run", time: clock - behind, data: bad ? { acts: 1 } : data };
}

function append(log: TestLog, { kind, events, advance, number, which }: Step): void {
  const first = events[0]!;
  const deadLetter = `all.0.${number}`;
  const again = log.entries.at(-1 - (number % log.entries.length))!;
  const redrive = { deadLetter, who: "ann", reason: undefined };
  const clock = log.logTime + advance;
  if (kind === "event") log.event(eventOf(first, clock), advance);
  else if (kind === "batch")
    log.batch(
      events.map((event) => eventOf(event, clock)),
      advance,
    );
  else if (kind === "again") log.raw(again.subject, again.payload, advance, again.headers);
  else if (kind === "tick") log.tick(advance);
  else if (kind === "watermark") log.watermark(log.logTime - first.behind);
  else if (kind === "owner") log.raw(JOURNAL, writeOwner(`t${number}`, "n"), advance);
  else if (kind === "reference") {
    const version = { version: number + 1, from: clock - first.behind };
    const ofBudget = { units: 2 * number, per: "1m", reserve: 1 + (number % 3) };
    if (number >= 8) log.reference("_budgets", { ...version, id: "model:guess", data: first.bad ? null : ofBudget }, {}, advance);
    else log.reference("rates", { ...version, id: first.key, data: first.bad ? 1 : { rate: number } }, {}, advance);
  } else if (kind === "garbage") log.raw(JOURNAL, GARBAGE[number % GARBAGE.length]!, advance);
  else if (kind === "redrive event") {
    const event = cloudEvent(eventOf({ ...first, behind: 0 }, clock));
    log.raw(JOURNAL, writeRedrive({ ...redrive, handler: "first.run", of: { event } }), advance);
  } else if (kind === "redrive timer") {
    const timer = { id: first.key, time: formatInstant(clock), armedBy: "e1" };
    log.raw(JOURNAL, writeRedrive({ ...redrive, handler: "second.tick", of: { key: first.key, timer, data: first.data.acts } }), advance);
  } else {
    // Whoever asked: one of the last entries, mostly.
    const owner = log.entries.findLastIndex(({ subject, payload }) => subject === JOURNAL && Buffer.from(payload).includes('"owner"')) + 1;
    const results = [0, 1, 2, 3].flatMap((back) =>
      [1, 2].map((n) => ({ call: `all.0:${log.entries.length - back}.${number % 2}.guess.${n}`, input: HASH, ...which })),
    );
    log.raw(JOURNAL, writeResults(first.bad ? 1 : Math.max(1, owner), results), advance);
  }
}

export const anEverythingHistory: fc.Arbitrary<TestLog> = fc.array(aStep, { minLength: 2, maxLength: 40, size: "max" }).map((steps) => {
  const log = new TestLog("all", T0);
  log.raw(JOURNAL, writeOwner("t", "n"));
  for (const step of steps) append(log, step);
  return log;
});
