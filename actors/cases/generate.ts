/**
 * Seeded cases: CloudEvents as NDJSON lines, in the order in which a busy office's sources send them, with everything
 * that goes wrong there (`disorder.ts`). The same options always give the same lines. No case hangs on another, and none
 * is thought of before its turn: what is kept is the rest of the cases that are open at once.
 */
import { HOUR_MS, MINUTE_MS } from "../model/time.ts";
import { Dice } from "../random.ts";
import { type Delivery, deliver, strayOf, textOf } from "./generator/delivery.ts";
import { type Disorder, type DisorderShares, disorderShares } from "./generator/disorder.ts";
import { CATEGORIES, PROCESSES } from "./generator/processes.ts";
import { tellCase } from "./generator/story.ts";

export interface CaseEventsOptions {
  readonly seed: number;
  /** How many are opened in all. */
  readonly cases: number;
  /** The lines end behind so many. Default: when all cases have ended. */
  readonly events?: number;
  /** The first case is not opened before, milliseconds. */
  readonly start: number;
  /** Between the openings of two cases. Default 12 hours. */
  readonly everyMs?: number;
  /** How far events are out of order: each comes less than this behind its time. Default 4 minutes. */
  readonly outOfOrdernessMs?: number;
  /** The share of cases whose source gives no sequence. Default 0.15. */
  readonly unsequenced?: number;
  /** What goes wrong: all of it, nothing, or all with other shares. Default true. */
  readonly disorder?: boolean | Partial<DisorderShares>;
}

/** One line: a CloudEvent as JSON, or something that is none. */
export interface CaseLine {
  readonly key: string;
  readonly text: string;
  /** Event time, milliseconds. */
  readonly time: number;
  /** What is wrong with it. An event that has several has the one that happened on the way. */
  readonly disorder?: Disorder;
}

/** The deliveries of one case that have not come yet. */
interface Course {
  readonly index: number;
  /** The next one is last: what has come is let go. */
  readonly deliveries: Delivery[];
}

export function* caseEvents(options: CaseEventsOptions): Generator<CaseLine> {
  const { cases, start } = options;
  const everyMs = options.everyMs ?? 12 * HOUR_MS;
  const open = new CourseHeap();
  let left = options.events ?? Number.POSITIVE_INFINITY;
  for (let index = 0; left > 0; ) {
    // Nothing of a case comes before the start of its turn: until then what is open comes first.
    const turn = start + index * everyMs;
    if (index < cases && open.arrival >= turn) {
      open.push({ index, deliveries: courseOf(options, index, turn, everyMs).reverse() });
      index++;
      continue;
    }
    const delivery = open.take();
    if (delivery === undefined) return;
    const { key, time, disorder } = delivery;
    yield { key, text: textOf(delivery), time, ...(disorder === undefined ? {} : { disorder }) };
    left--;
  }
}

function courseOf(options: CaseEventsOptions, index: number, turn: number, everyMs: number): Delivery[] {
  const seed = Math.imul(options.seed + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b);
  const dice = new Dice(seed);
  const odd = new Dice(seed ^ 0x5bd1e995);
  const shares = disorderShares(options.disorder);
  const category = dice.weighted(CATEGORIES.map((name) => [name, PROCESSES[name].share]))!;
  const flow = PROCESSES[category];
  const caseId = `${flow.prefix}-${String(index + 1).padStart(5, "0")}`;
  const sequenced = !dice.chance(options.unsequenced ?? 0.15);
  const openedFrom = turn + dice.between(0, everyMs);
  const facts = tellCase({ caseId, category, flow, openedFrom, dice, odd, shares });
  const jitterMs = options.outOfOrdernessMs ?? 4 * MINUTE_MS;
  const deliveries = deliver(facts, { caseId, sequenced, jitterMs, dice, odd, shares });
  if (shares === undefined || !odd.chance(shares["case-unknown"])) return deliveries;
  return [strayOf(caseId, openedFrom, odd), ...deliveries];
}

/** A binary heap: the course whose next delivery comes first is on top. */
class CourseHeap {
  readonly #courses: Course[] = [];

  /** Of the delivery that comes next. */
  get arrival(): number {
    const top = this.#courses[0];
    return top === undefined ? Number.POSITIVE_INFINITY : arrivalOf(top);
  }

  push(course: Course): void {
    const courses = this.#courses;
    let at = courses.length;
    for (; at > 0; ) {
      const above = (at - 1) >> 1;
      if (!before(course, courses[above]!)) break;
      courses[at] = courses[above]!;
      at = above;
    }
    courses[at] = course;
  }

  take(): Delivery | undefined {
    const courses = this.#courses;
    const top = courses[0];
    if (top === undefined) return undefined;
    const delivery = top.deliveries.pop();
    const last = top.deliveries.length > 0 ? top : courses.pop()!;
    if (courses.length > 0) this.#sink(last);
    return delivery;
  }

  /** Puts a course in the place of the top, and down to its own. */
  #sink(course: Course): void {
    const courses = this.#courses;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= courses.length) break;
      if (below + 1 < courses.length && before(courses[below + 1]!, courses[below]!)) below++;
      if (!before(courses[below]!, course)) break;
      courses[at] = courses[below]!;
      at = below;
    }
    courses[at] = course;
  }
}

function before(a: Course, b: Course): boolean {
  const difference = arrivalOf(a) - arrivalOf(b);
  return difference < 0 || (difference === 0 && a.index < b.index);
}

function arrivalOf({ deliveries }: Course): number {
  return deliveries.at(-1)!.arrival;
}
