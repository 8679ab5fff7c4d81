/**
 * What a pattern says, as plain data with conditions: the steps that take events, what may not lie between them, how
 * long a match may last, and what a match rules out. Here are the rules that no declaration may break; the matcher
 * relies on them. What the words mean is said in docs/patterns.md.
 */

/** Events that a match has taken so far, by step. */
export type Taken = Readonly<Record<string, readonly unknown[]>>;
/** Sync and pure: it is asked again wherever the log is folded again. */
export type Condition = (event: unknown, soFar: Taken) => boolean;

/** What may be passed over on the way to an event: nothing, only what the step could not take, or anything. */
export type Contiguity = "strict" | "relaxed" | "any";

export interface Step {
  readonly name: string;
  readonly where: Condition;
  /** From the event that was taken before to the first of this step. */
  readonly contiguity: Contiguity;
  /** From one event of this step to its next. */
  readonly inner: Contiguity;
  /** How many events it takes. `max` may be Infinity. */
  readonly min: number;
  readonly max: number;
  /** It may be skipped. */
  readonly optional: boolean;
  /** A later step does not take what this one could, nor is that passed over. */
  readonly greedy: boolean;
  /** Ends the step: neither this event nor a later one is taken by it. */
  readonly until: Condition | undefined;
  /** What may not come on the way from the event that was taken before to the first of this step, that one included. */
  readonly barriers: readonly Barrier[];
}

export interface Barrier {
  readonly name: string;
  readonly where: Condition;
  /** Only the very next event, or each. */
  readonly reach: "next" | "each";
}

/** What an emitted match rules out: partial matches that began before some event of it. */
export type Skip = { readonly to: "none" | "next" | "past-last" } | { readonly to: "first" | "last"; readonly step: string };

export interface Declaration {
  readonly steps: readonly Step[];
  /** What may not come after the last event taken. */
  readonly barriersAtEnd: readonly Barrier[];
  /** An event belongs to a match while its time is less than this beyond that of the match's first event. */
  readonly withinMs: number | undefined;
  readonly skip: Skip;
}

/** Steps of one pattern: each has a bit in a number. */
export const STEPS_MAX = 24;

const NAME = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;

/** Throws TypeError for a declaration that could not match as it reads. */
export function checkDeclaration({ steps, barriersAtEnd, withinMs }: Declaration): void {
  const barriers = [...steps.flatMap((step) => step.barriers), ...barriersAtEnd];
  const names = [...steps, ...barriers].map(({ name }) => name);
  for (const name of names) {
    if (!NAME.test(name)) throw new TypeError(`pattern: the name "${name}" does not match ${NAME}.`);
    if (names.indexOf(name) !== names.lastIndexOf(name)) throw new TypeError(`pattern: two steps are called "${name}". Rename one.`);
  }
  if (steps.length > STEPS_MAX) throw new TypeError(`pattern: ${steps.length} steps are more than ${STEPS_MAX}.`);
  if (steps.every(({ optional }) => optional)) throw new TypeError("pattern: every step is optional. One has to take an event.");
  if (withinMs !== undefined) return;
  const last = barriersAtEnd.find(({ reach }) => reach === "each");
  if (last !== undefined)
    throw new TypeError(`pattern: notFollowedBy("${last.name}") at the end is only known with time. Add within("10m").`);
  for (const step of stepsAtEnd(steps)) {
    if (step.greedy && !endsByItself(step))
      throw new TypeError(`pattern: nothing ends the greedy step "${step.name}". Add within("10m"), or consecutive(), or until().`);
  }
}

/** The last step that is not optional, and those behind it. */
function stepsAtEnd(steps: readonly Step[]): readonly Step[] {
  return steps.slice(steps.findLastIndex(({ optional }) => !optional));
}

/** Whether the step, at the end of a match, can be over without any deadline: once it has taken events, and where it was skipped. */
function endsByItself({ max, inner, until, optional, contiguity }: Step): boolean {
  const looped = max === 1 || inner === "strict" || until !== undefined;
  const skipped = !optional || contiguity === "strict";
  return looped && skipped;
}
