/** The generator of cases: the same lines each time, a story that keeps the rules, and the disorder that it says it makes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Temporal } from "temporal-polyfill";
import { type CaseEventsOptions, type CaseLine, caseEvents } from "../../actors/cases/generate.ts";
import { DISORDER_SHARES, type Disorder } from "../../actors/cases/generator/disorder.ts";
import { dueOf, POLICIES } from "../../actors/cases/generator/policies.ts";
import { CATEGORIES, lifecycleOf, PROCESSES } from "../../actors/cases/generator/processes.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, parseInstant } from "../../actors/model/time.ts";
import { Dice } from "../../actors/random.ts";
import { type CaseEvent, CaseRules, effectiveOf, faultOf } from "./case-rules.ts";

const START = Date.UTC(2026, 0, 5);
const OUT_OF_ORDERNESS_MS = 4 * MINUTE_MS;
const SAMPLE: CaseEventsOptions = { seed: 7, cases: 160, events: 3_600, start: START, everyMs: 8 * HOUR_MS };

const sample = [...caseEvents(SAMPLE)];
const plain = [...caseEvents({ seed: 3, cases: 400, start: START, everyMs: HOUR_MS, disorder: false })];

suite("the lines", () => {
  test("are the same for the same options", () => {
    assert.deepEqual([...caseEvents(SAMPLE)], sample);
    assert.notDeepEqual([...caseEvents({ ...SAMPLE, seed: 8, events: 5 })], sample.slice(0, 5));
  });

  test("of the sample that is checked in are those of its options", () => {
    const text = readFileSync(new URL("../../actors/cases/sample.ndjson", import.meta.url), "utf8");
    assert.ok(text === sample.map((line) => `${line.text}\n`).join(""), "made by other options, or by another generator");
    assert.ok(text.length < 2 * 1024 * 1024);
  });

  test("end behind as many as were asked for", () => {
    assert.equal([...caseEvents({ ...SAMPLE, events: 10 })].length, 10);
    assert.deepEqual([...caseEvents({ ...SAMPLE, events: 0 })], []);
    assert.deepEqual([...caseEvents({ ...SAMPLE, cases: 0 })], []);
  });

  test("come without keeping more than the cases that are open", () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const heapAt: number[] = [];
    let lines = 0;
    for (const _ of caseEvents({ seed: 1, cases: Number.MAX_SAFE_INTEGER, events: 60_000, start: START })) {
      if (++lines % 20_000 !== 0) continue;
      collect();
      heapAt.push(process.memoryUsage().heapUsed);
    }
    assert.equal(lines, 60_000);
    assert.ok(heapAt[2]! - heapAt[0]! < 8 * 1024 * 1024, `heap used: ${heapAt}`);
  });
});

suite("without disorder", () => {
  const events = plain.map(({ text }) => JSON.parse(text) as CaseEvent);
  const byCase = Map.groupBy(events, ({ subject }) => subject);

  test("every line is an event of the job, and says what is said of it", () => {
    for (const { text, key, time, disorder } of plain) {
      assert.equal(faultOf(text), undefined, text);
      const event = JSON.parse(text) as CaseEvent;
      assert.deepEqual([event.subject, parseInstant(event.time), disorder], [key, time, undefined]);
    }
    assert.equal(new Set(events.map(({ id }) => id)).size, events.length);
  });

  test("sequences have no gap and time does not go back in their order", () => {
    let without = 0;
    for (const [key, own] of byCase) {
      if (own[0]!.sequence === undefined) without++;
      const ordered = inOrder(own);
      assert.deepEqual(
        ordered.map(({ id, sequence }, i) => id === `${key}-${i + 1}` && (sequence ?? i + 1) === i + 1),
        ordered.map(() => true),
      );
      assert.ok(
        ordered.every(({ time }, i) => i === 0 || time >= ordered[i - 1]!.time),
        key,
      );
    }
    assert.equal(byCase.size, 400);
    assert.ok(without > 400 * 0.08 && without < 400 * 0.24, `${without} cases without sequences`);
  });

  test("lines come out of order by less than the bound, and do", () => {
    let latest = Number.NEGATIVE_INFINITY;
    let behind = 0;
    for (const { time } of plain) {
      assert.ok(latest - time < OUT_OF_ORDERNESS_MS);
      if (time < latest) behind++;
      latest = Math.max(latest, time);
    }
    assert.ok(behind > plain.length * 0.05, `${behind} lines out of order`);
  });

  test("nothing contradicts the rules", () => {
    const found = [...byCase.values()].flatMap((own) => violationsOf(inOrder(own)).map(([code, { id }]) => `${code} ${id}`));
    assert.deepEqual(found, []);
  });

  test("every process, every status and every type of event is there", () => {
    const reached = new Set(events.filter(({ type }) => type === "CaseStatusChanged").map(({ data }) => data.toStatus));
    for (const category of CATEGORIES) {
      assert.ok(events.some(({ data }) => data.category === category));
      const { statuses, initial } = lifecycleOf(category);
      for (const status of statuses) assert.ok(status === initial || status === "closed" || reached.has(status), status);
    }
    const types = new Set(events.map(({ type }) => type));
    assert.equal(types.size, 22, "all but EventCorrected");
  });

  test("clocks are completed in time, at the very instant, behind it, paused, and never", () => {
    const counts = { "in time": 0, "at due": 0, behind: 0, "while paused": 0, never: 0 };
    for (const own of byCase.values()) countCompletions(inOrder(own), counts);
    for (const [kind, count] of Object.entries(counts)) assert.ok(count >= 5, `${kind}: ${count}`);
  });
});

suite("the disorder of the sample", () => {
  const labels = Map.groupBy(sample, ({ disorder }) => disorder);
  const read = sample.filter(({ text }) => faultOf(text) === undefined).map(({ text }) => JSON.parse(text) as CaseEvent);
  const unique = [...new Map(read.toReversed().map((event) => [event.id, event])).values()].reverse();
  const codes = new Map<string, number>();
  for (const own of Map.groupBy(unique, ({ subject }) => subject).values())
    for (const [code] of violationsOf(inOrder(own))) codes.set(code, (codes.get(code) ?? 0) + 1);

  test("has every kind", () => {
    const kinds = (Object.keys(DISORDER_SHARES) as Disorder[]).filter((kind) => kind !== "gap");
    assert.deepEqual(
      kinds.filter((kind) => !labels.has(kind)),
      [],
    );
  });

  test("is counted right where the sample is described", () => {
    const [, page] = readFileSync(new URL("../../actors/cases/README.md", import.meta.url), "utf8").split("### What goes wrong") as [
      string,
      string,
    ];
    const rows = [...page.matchAll(/^\| (`.+?`) \| (\d.*?) \|/gm)].flatMap(([, kinds, counts]) => {
      const count = counts!.split(" · ").map(Number);
      return kinds!.split(" · ").map((kind, i) => [kind.slice(1, -1), count[i]] as const);
    });
    const missing = codes.get("sequence-gap");
    const counted = Object.keys(DISORDER_SHARES).map((kind) => [kind, labels.get(kind as Disorder)?.length ?? missing] as const);
    assert.deepEqual(new Map(rows.toSorted()), new Map(counted.toSorted()));
  });

  test("is on the lines that say so", () => {
    const faults = (kind: Disorder) => labels.get(kind)!.map(({ text }) => faultOf(text)?.split(" ")[0]);
    assert.deepEqual(new Set(faults("poison")), new Set(["not-json"]));
    assert.deepEqual(new Set(faults("wrong-type")), new Set(["schema"]));
    assert.deepEqual(new Set(faults("untyped")), new Set(["no"]));
    const broken = new Set<Disorder | undefined>(["poison", "wrong-type", "untyped"]);
    assert.ok(sample.every(({ text, disorder }) => broken.has(disorder) || faultOf(text) === undefined));
    const before = (line: CaseLine) => sample.slice(0, sample.indexOf(line));
    assert.ok(labels.get("duplicate")!.every((line) => before(line).some(({ text }) => text === line.text)));
    const id = (text: string) => /"id":"([^"]+)"/.exec(text)?.[1];
    assert.ok(
      labels.get("other-content")!.every((line) => before(line).some(({ text }) => id(text) === id(line.text) && text !== line.text)),
    );
  });

  test("breaks each rule that a source can break", () => {
    const broken =
      "already-open not-open case-unknown from-mismatch transition-not-allowed sla-already-started sla-unknown already-completed not-paused overlapping-primary assignment-unknown sequence-gap sequence-conflict";
    for (const code of broken.split(" ")) assert.ok((codes.get(code) ?? 0) >= 2, `${code}: ${codes.get(code)}`);
  });

  test("comes behind and late", () => {
    let latest = Number.NEGATIVE_INFINITY;
    const lateness = sample.map(({ time }) => {
      latest = Math.max(latest, time);
      return latest - time;
    });
    assert.ok(lateness.filter((ms) => ms > DAY_MS + 5 * MINUTE_MS).length >= 10);
    assert.ok(lateness.filter((ms) => ms > 5 * MINUTE_MS && ms <= DAY_MS).length >= 10);
  });

  test("names what there is not", () => {
    const known = new Set(unique.map((event) => event.id));
    const corrections = unique.filter(({ type }) => type === "EventCorrected");
    const hits = corrections.filter(({ data }) => known.has(data.correctedEventId as string)).length;
    assert.ok(hits >= 5 && corrections.length - hits >= 5);
    const starts = unique.filter(({ type }) => type === "SlaClockStarted");
    assert.ok(starts.some(({ data }) => POLICIES[data.policyId as string] === undefined));
    assert.ok(starts.some(({ data }) => data.policyVersion === 99));
    const opened = unique.filter(({ type }) => type === "CaseOpened");
    assert.ok(opened.some(({ data }) => !(CATEGORIES as readonly unknown[]).includes(data.category)));
    assert.ok(opened.some(({ data }) => data.riskCategory === undefined) && opened.some(({ data }) => data.jurisdiction === undefined));
  });

  test("tells late of what was so in time", () => {
    for (const kind of ["late-completion", "late-pause", "late-decision"] as const)
      for (const { text } of labels.get(kind)!) {
        const event = JSON.parse(text) as CaseEvent;
        assert.ok(parseInstant(event.time)! - effectiveOf(event) > 5 * MINUTE_MS, text);
      }
  });
});

suite("the tables", () => {
  test("of the processes lead from status to status, and clocks to policies", () => {
    for (const { stays, initial, terminal, clocks } of Object.values(PROCESSES)) {
      const statuses = new Set(Object.keys(stays));
      const named = [initial, ...terminal, ...clocks.flatMap((clock) => [clock.startsIn, ...clock.pausesIn, ...clock.completesIn])];
      for (const { moves } of Object.values(stays)) named.push(...Object.keys(moves));
      assert.deepEqual(
        named.filter((status) => !statuses.has(status)),
        [],
      );
      for (const status of terminal) assert.deepEqual(stays[status]!.moves, {});
      for (const { policyId, pausesIn } of clocks) assert.ok(pausesIn.length === 0 || POLICIES[policyId]!.pauseExtends !== undefined);
    }
  });

  test("of the policies give the due times that the calendar gives", () => {
    const dice = new Dice(5);
    for (let i = 0; i < 300; i++) {
      const start = Temporal.Instant.fromEpochMilliseconds(dice.between(START, START + 700 * DAY_MS)).toZonedDateTimeISO("Europe/Rome");
      const { epochMilliseconds } = start;
      assert.equal(dueOf({ days: 60 }, epochMilliseconds), start.add({ days: 60 }).epochMilliseconds, String(start));
      assert.equal(dueOf({ workingDays: 10 }, epochMilliseconds), workingDays(start, 10).epochMilliseconds, String(start));
    }
  });
});

function workingDays(start: Temporal.ZonedDateTime, days: number): Temporal.ZonedDateTime {
  let after = 0;
  for (let left = days; left > 0; ) if (start.add({ days: ++after }).dayOfWeek < 6) left--;
  return start.add({ days: after });
}

/** By sequence, or as they came. */
function inOrder(own: readonly CaseEvent[]): CaseEvent[] {
  return own.toSorted((a, b) => (a.sequence ?? 0) - (b.sequence ?? 0));
}

function violationsOf(ordered: readonly CaseEvent[]): [code: string, event: CaseEvent][] {
  const rules = new CaseRules();
  const found: [string, CaseEvent][] = [];
  let last = 0;
  for (const event of ordered) {
    const { sequence } = event;
    if (sequence === last) found.push(["sequence-conflict", event]);
    if (sequence === last) continue;
    if (sequence !== undefined && sequence !== last + 1) found.push(["sequence-gap", event]);
    last = sequence ?? last;
    const code = rules.apply(event);
    if (code !== undefined) found.push([code, event]);
  }
  return found;
}

function countCompletions(ordered: readonly CaseEvent[], counts: Record<string, number>): void {
  const clocks = new Map<unknown, { due: number; pausedAt: number | undefined; pauseExtends: boolean }>();
  for (const event of ordered) {
    const { type, data } = event;
    const at = effectiveOf(event);
    const clock = clocks.get(data.slaId);
    if (type === "SlaClockStarted") {
      const policy = POLICIES[data.policyId as string]!;
      const due = data.dueAt === undefined ? dueOf(policy, at) : parseInstant(data.dueAt as string)!;
      clocks.set(data.slaId, { due, pausedAt: undefined, pauseExtends: policy.pauseExtends === true });
    } else if (type === "SlaClockPaused") clock!.pausedAt = at;
    else if (type === "SlaClockResumed") {
      if (clock!.pauseExtends) clock!.due += at - clock!.pausedAt!;
      clock!.pausedAt = undefined;
    } else if (type === "SlaClockCompleted") {
      const kind = clock!.pausedAt !== undefined ? "while paused" : at === clock!.due ? "at due" : at < clock!.due ? "in time" : "behind";
      counts[kind]!++;
      clocks.delete(data.slaId);
    } else if (type === "CaseClosed") {
      counts.never! += clocks.size;
      clocks.clear();
    }
  }
}
