/**
 * How a pattern is declared: `begin("fail", { where: (e: Login) => … }).times(3).followedBy("ok", { where: … })`. Every
 * call gives a new pattern. Quantifiers speak of the step before them. The element's type comes from the first
 * condition's parameter, the names of the steps from the names given; nothing is written twice.
 */
import { durationMs } from "../time.ts";
import { type Condition, type Contiguity, checkDeclaration, type Declaration, type Skip, type Step } from "./declaration.ts";

/** Events by step: of a match, or of a partial match so far. A step that was skipped has none. */
export type Matched<E, N extends string> = { readonly [name in N]: readonly E[] };

export interface StepOptions<E, N extends string> {
  /** Whether the step takes the event. `soFar`: what this match has taken before it. Sync and pure. */
  readonly where: (event: E, soFar: Matched<E, N>) => boolean;
}

/** The first step of a pattern: a match may begin at every event that it takes. */
export function begin<E, N extends string>(name: N, step: StepOptions<E, N>): Pattern<E, N> {
  const first = singleStep(name, "any", step.where as Condition);
  return new Pattern({ steps: [first], barriersAtEnd: [], withinMs: undefined, skip: { to: "none" } });
}

/** E: the events. N: the names of the steps that take them. */
export class Pattern<E, N extends string> {
  readonly #declared: Declaration;

  constructor(declared: Declaration) {
    this.#declared = declared;
  }

  /** What has been declared, checked as a whole. Throws TypeError for what could not match as it reads. */
  declaration(): Declaration {
    checkDeclaration(this.#declared);
    return this.#declared;
  }

  /** The very next event. */
  next<M extends string>(name: M, step: StepOptions<E, N | M>): Pattern<E, N | M> {
    return this.#then(name, "strict", step.where as Condition);
  }

  /** The next event that it can take; others are passed over. */
  followedBy<M extends string>(name: M, step: StepOptions<E, N | M>): Pattern<E, N | M> {
    return this.#then(name, "relaxed", step.where as Condition);
  }

  /** Any later event that it can take: a match for each. */
  followedByAny<M extends string>(name: M, step: StepOptions<E, N | M>): Pattern<E, N | M> {
    return this.#then(name, "any", step.where as Condition);
  }

  /** The very next event is none of these. */
  notNext(name: string, step: StepOptions<E, N>): Pattern<E, N> {
    return this.#bar(name, "next", step.where as Condition);
  }

  /** None of these up to the next step's event, that one included; at the end, none until `within` is over. */
  notFollowedBy(name: string, step: StepOptions<E, N>): Pattern<E, N> {
    return this.#bar(name, "each", step.where as Condition);
  }

  /** The step before takes so many events, or from so many to so many. */
  times(from: number, to: number = from): Pattern<E, N> {
    if (!Number.isSafeInteger(from) || from < 1 || !(to === Infinity || Number.isSafeInteger(to)) || to < from)
      throw new TypeError(`pattern: times(${from}, ${to}): write whole numbers from 1, the smaller one first.`);
    return this.#quantify("times", ({ max }) => (max === 1 ? { min: from, max: to } : "it takes more than one already"));
  }

  oneOrMore(): Pattern<E, N> {
    return this.times(1, Infinity);
  }

  timesOrMore(from: number): Pattern<E, N> {
    return this.times(from, Infinity);
  }

  /** The step before may be skipped. */
  optional(): Pattern<E, N> {
    return this.#quantify("optional", () => ({ optional: true }));
  }

  /** The step before takes all that it can before a later step takes anything. */
  greedy(): Pattern<E, N> {
    return this.#quantify("greedy", (step) => (isLoop(step) || step.optional ? { greedy: true } : NO_LOOP));
  }

  /** An event for which this holds ends the step before, once that has taken its first. */
  until(condition: StepOptions<E, N>["where"]): Pattern<E, N> {
    return this.#quantify("until", (step) => (isLoop(step) ? { until: condition as Condition } : NO_LOOP));
  }

  /** The events of the step before come one right behind the other. */
  consecutive(): Pattern<E, N> {
    return this.#quantify("consecutive", (step) => (isLoop(step) ? { inner: "strict" } : NO_LOOP));
  }

  /** Between its events the step before may pass over some that it could take. */
  allowCombinations(): Pattern<E, N> {
    return this.#quantify("allowCombinations", (step) => (isLoop(step) ? { inner: "any" } : NO_LOOP));
  }

  /** From the first event of a match to its last it takes less than this: "10m", "24h", or milliseconds. */
  within(duration: string | number): Pattern<E, N> {
    const withinMs = durationMs(duration, "pattern: within");
    if (withinMs < 1) throw new TypeError("pattern: within: at least 1 ms.");
    return new Pattern({ ...this.#declared, withinMs });
  }

  /** After a match, no other that began with the same event. */
  skipToNext(): Pattern<E, N> {
    return this.#skip({ to: "next" });
  }

  /** After a match, none that began before its last event or with it: no event is in two matches. */
  skipPastLastEvent(): Pattern<E, N> {
    return this.#skip({ to: "past-last" });
  }

  /** After a match, none that began before its first event of that step. */
  skipToFirst(step: N): Pattern<E, N> {
    return this.#skip({ to: "first", step });
  }

  /** After a match, none that began before its last event of that step. */
  skipToLast(step: N): Pattern<E, N> {
    return this.#skip({ to: "last", step });
  }

  #skip(skip: Skip): Pattern<E, N> {
    const { steps } = this.#declared;
    if ("step" in skip && !steps.some(({ name }) => name === skip.step))
      throw new TypeError(`pattern: skip to "${skip.step}": no step before has that name.`);
    return new Pattern({ ...this.#declared, skip });
  }

  #then<M extends string>(name: string, contiguity: Contiguity, where: Condition): Pattern<E, M> {
    const { steps, barriersAtEnd } = this.#declared;
    const added = { ...singleStep(name, contiguity, where), barriers: barriersAtEnd };
    return new Pattern({ ...this.#declared, steps: [...steps, added], barriersAtEnd: [] });
  }

  #bar(name: string, reach: "next" | "each", where: Condition): Pattern<E, N> {
    return new Pattern({ ...this.#declared, barriersAtEnd: [...this.#declared.barriersAtEnd, { name, reach, where }] });
  }

  /** `change` gives what is to be different in the step, or why that cannot be. */
  #quantify(word: string, change: (step: Step) => Partial<Step> | string): Pattern<E, N> {
    const { steps, barriersAtEnd } = this.#declared;
    const step = steps.at(-1)!;
    const barrier = barriersAtEnd.at(-1);
    const changed = barrier === undefined ? change(step) : "what may not come has no quantifier";
    if (typeof changed === "string") throw new TypeError(`pattern: ${word} after "${(barrier ?? step).name}": ${changed}.`);
    return new Pattern({ ...this.#declared, steps: [...steps.slice(0, -1), { ...step, ...changed }] });
  }
}

const NO_LOOP = "it takes one event. Write oneOrMore() or times() before";

function isLoop({ max }: Step): boolean {
  return max > 1;
}

function singleStep(name: string, contiguity: Contiguity, where: Condition): Step {
  return { name, where, contiguity, inner: "relaxed", min: 1, max: 1, optional: false, greedy: false, until: undefined, barriers: [] };
}
