/**
 * What a pattern matches, said once more and without a matcher: try every way to give events to steps, look at what
 * lies between the events of each, find when it becomes known, and apply the skip strategy in that order. It looks at
 * the whole list of events again for every question. Beside the plain data of a declaration it shares nothing with
 * actors/model/patterns.
 */
import type { Barrier, Declaration, Step } from "../../actors/model/patterns/declaration.ts";

export interface OracleEvent {
  readonly time: number;
  readonly value: unknown;
}

/** Which step took which event: places in the list of events and in the list of steps, side by side. */
interface Way {
  readonly events: readonly number[];
  readonly steps: readonly number[];
}

export interface Finding {
  /** It lacked events of a step when its time was over; else it is a match. */
  readonly timedOut: boolean;
  /** When it became known: the time of an event, or a deadline. */
  readonly at: number;
  /** Places of its events, by step. */
  readonly events: Readonly<Record<string, readonly number[]>>;
}

/** All that is found by the time `until`, in order. `events` are in the order of their times, none of them later. */
export function findings(declaration: Declaration, events: readonly OracleEvent[], until: number): Finding[] {
  const oracle = new Oracle(declaration, events, until);
  const known = oracle.waysOn({ events: [], steps: [] }).flatMap((way) => oracle.findingsOf(way));
  const emitted: Known[] = [];
  for (const each of known.sort(inOrder))
    if (!emitted.some((earlier) => !earlier.timedOut && rulesOut(declaration, earlier, each))) emitted.push(each);
  return emitted.map(({ timedOut, at, way }) => ({ timedOut, at, events: byStep(declaration, way) }));
}

interface Known extends Pick<Finding, "timedOut" | "at"> {
  readonly way: Way;
  /** Place of the event with which it becomes known; a deadline comes before the events of its time. */
  readonly event: number | undefined;
}

class Oracle {
  readonly #steps: readonly Step[];
  readonly #barriersAtEnd: readonly Barrier[];
  readonly #withinMs: number;
  readonly #events: readonly OracleEvent[];
  readonly #until: number;

  constructor({ steps, barriersAtEnd, withinMs = Infinity }: Declaration, events: readonly OracleEvent[], until: number) {
    this.#steps = steps;
    this.#barriersAtEnd = barriersAtEnd;
    this.#withinMs = withinMs;
    this.#events = events;
    this.#until = until;
  }

  /** Every way that goes on from this one, by one event or by more. */
  waysOn(way: Way): Way[] {
    const last = way.events.at(-1) ?? -1;
    const begun = way.events.length > 0;
    const later = [...this.#events.keys()].filter((event) => event > last && (!begun || this.#time(event) < this.#deadline(way)));
    return later.flatMap((event) => {
      // What comes before the first event of a match is not between anything.
      const passed = begun ? later.filter((other) => other < event) : [];
      const targets = this.#targets(way).filter((step) => step < this.#steps.length && this.#takes(way, step, passed, event));
      const on = targets.map((step) => ({ events: [...way.events, event], steps: [...way.steps, step] }));
      return on.flatMap((next) => [next, ...this.waysOn(next)]);
    });
  }

  /** A way is a match as soon as it is known to have come to its end; or it may have timed out. */
  findingsOf(way: Way): Known[] {
    const end = this.#steps.length;
    const last = way.events.at(-1)!;
    const deadline = this.#deadline(way);
    const behind = [...this.#events.keys()].filter((event) => event > last && this.#time(event) < deadline);
    if (this.#targets(way).includes(end)) {
      for (let count = 0; count <= behind.length; count++) {
        const event = behind[count - 1] ?? last;
        if (this.#isOver(way, behind.slice(0, count))) return [{ timedOut: false, way, at: this.#time(event), event }];
      }
      const stands = deadline <= this.#until && this.#isOpen(way, end, behind, undefined);
      return stands ? [{ timedOut: false, way, at: deadline, event: undefined }] : [];
    }
    const waits = this.#targets(way).some((step) => this.#isOpen(way, step, behind, undefined));
    const mandatory = this.#steps.findLastIndex(({ optional }) => !optional);
    const lacks = this.#count(way) < this.#step(way).min || way.steps.at(-1)! < mandatory;
    return waits && lacks && deadline <= this.#until ? [{ timedOut: true, way, at: deadline, event: undefined }] : [];
  }

  /** Whether nothing that comes after the events passed can change that the way has come to its end. */
  #isOver(way: Way, passed: readonly number[]): boolean {
    if (!this.#isOpen(way, this.#steps.length, passed, undefined)) return false;
    const barred = this.#barriersAtEnd.some(({ reach }) => reach === "each" || passed.length === 0);
    return !barred && !this.#greedyBefore(way, this.#steps.length).some((step) => this.#isOpen(way, step, passed, undefined));
  }

  /** Steps that may take the next event of a way, by the counts alone; the number of steps stands for the end. */
  #targets(way: Way): number[] {
    const place = way.steps.at(-1) ?? -1;
    const loop = place >= 0 && this.#count(way) < this.#step(way).max ? [place] : [];
    if (place >= 0 && this.#count(way) < this.#step(way).min) return loop;
    const behind = [...this.#steps.keys(), this.#steps.length].filter((step) => step > place);
    return [...loop, ...behind.filter((step) => this.#steps.slice(place + 1, step).every(({ optional }) => optional))];
  }

  /** Whether a step takes an event as the next one of a way. */
  #takes(way: Way, step: number, passed: readonly number[], event: number): boolean {
    return this.#satisfies(way, step, event) && this.#isOpen(way, step, passed, event);
  }

  /** Whether an event is such as a step takes, whatever lies on the way to it. */
  #satisfies(way: Way, step: number, event: number): boolean {
    const { where, until } = this.#steps[step]!;
    return this.#holds(way, where, event) && !(until !== undefined && this.#holds(way, until, event));
  }

  /** Whether a way may go on to a step over the events passed, and with `event` if there is one yet. */
  #isOpen(way: Way, step: number, passed: readonly number[], event: number | undefined): boolean {
    const seen = event === undefined ? passed : [...passed, event];
    const loops = step === way.steps.at(-1);
    const contiguity = loops ? this.#steps[step]!.inner : (this.#steps[step]?.contiguity ?? "any");
    if (contiguity === "strict" && passed.length > 0) return false;
    if (contiguity === "relaxed" && passed.some((other) => this.#satisfies(way, step, other))) return false;
    const until = loops ? this.#steps[step]!.until : undefined;
    if (until !== undefined && seen.some((other) => this.#holds(way, until, other))) return false;
    for (const { where, reach } of this.#barriersBefore(way, step)) {
      if ((reach === "next" ? seen.slice(0, 1) : seen).some((other) => this.#holds(way, where, other))) return false;
    }
    return !this.#greedyBefore(way, step).some((rival) => seen.some((other, i) => this.#takes(way, rival, seen.slice(0, i), other)));
  }

  /** What stands between the last event of a way and a step. Before the first event nothing does. */
  #barriersBefore(way: Way, step: number): readonly Barrier[] {
    const place = way.steps.at(-1);
    if (place === undefined || place === step) return [];
    const between = this.#steps.slice(place + 1, step + 1).flatMap(({ barriers }) => barriers);
    return step === this.#steps.length ? [...between, ...this.#barriersAtEnd] : between;
  }

  /** Greedy steps that might go on in place of a step behind them. */
  #greedyBefore(way: Way, step: number): number[] {
    return this.#targets(way).filter((target) => target < step && this.#steps[target]!.greedy);
  }

  #holds(way: Way, condition: Step["where"], event: number): boolean {
    const soFar = byStep({ steps: this.#steps }, way);
    const values = Object.entries(soFar).map(([name, events]) => [name, events.map((taken) => this.#events[taken]!.value)]);
    return condition(this.#events[event]!.value, Object.fromEntries(values));
  }

  #step(way: Way): Step {
    return this.#steps[way.steps.at(-1)!]!;
  }

  /** Events that the last step has taken. */
  #count({ steps }: Way): number {
    return steps.filter((step) => step === steps.at(-1)).length;
  }

  #deadline({ events }: Way): number {
    return this.#time(events[0]!) + this.#withinMs;
  }

  #time(event: number): number {
    return this.#events[event]!.time;
  }
}

/** As things become known; at one moment the earlier event first, the longer way first, the earlier step first. */
function inOrder(a: Known, b: Known): number {
  if (a.at !== b.at) return a.at - b.at;
  const moment = (a.event ?? -1) - (b.event ?? -1);
  if (moment !== 0) return moment;
  for (let i = 0; ; i++) {
    const event = (a.way.events[i] ?? Infinity) - (b.way.events[i] ?? Infinity);
    if (event !== 0 && !Number.isNaN(event)) return event;
    const step = a.way.steps[i]! - b.way.steps[i]!;
    if (step !== 0) return step;
  }
}

/** Whether a match, once emitted, rules out what is found after it. */
function rulesOut({ skip, steps }: Declaration, match: Known, other: Known): boolean {
  const { events } = match.way;
  const began = other.way.events[0]!;
  switch (skip.to) {
    case "none":
      return false;
    case "next":
      return began === events[0];
    case "past-last":
      return began <= events.at(-1)!;
    default: {
      const ofStep = byStep({ steps }, match.way)[skip.step]!;
      return ofStep.length > 0 && began < ofStep.at(skip.to === "first" ? 0 : -1)!;
    }
  }
}

function byStep({ steps }: Pick<Declaration, "steps">, way: Way): Record<string, number[]> {
  const eventsOf = (step: number): number[] => way.events.filter((_, i) => way.steps[i] === step);
  return Object.fromEntries(steps.map(({ name }, step) => [name, eventsOf(step)]));
}
