/**
 * What one partial match makes of one event: which targets take it, and which stay open. It asks the conditions and
 * changes nothing. Targets are asked in the order of the steps: what keeps a step from its event keeps all behind it
 * from theirs, be it a barrier on the way or a greedy step that takes the event itself.
 */
import { HandlerError } from "../handler-error.ts";
import type { Condition, Contiguity, Declaration, Step, Taken } from "./declaration.ts";
import { bit, bitsFrom, type PartialMatch, placeOf } from "./partial-match.ts";

export interface Reaction {
  /** Places of the steps that take the event. */
  readonly takers: readonly number[];
  /** Bits of the targets that are open afterwards. */
  readonly open: number;
}

/** `fresh`: the event is the very next one behind the last that was taken. */
export function react(declaration: Declaration, partial: PartialMatch, event: unknown, soFar: Taken, fresh: boolean): Reaction {
  const { steps, barriersAtEnd } = declaration;
  const place = placeOf(partial);
  const takers: number[] = [];
  let { open } = partial;
  let barred = false;

  if ((open & bit(place)) !== 0) {
    const step = steps[place]!;
    const over = step.until !== undefined && holds(step.until, event, soFar, step.name);
    const takes = !over && holds(step.where, event, soFar, step.name);
    if (takes) takers.push(place);
    if (over || closes(step.inner, takes)) open &= ~bit(place);
    barred = takes && step.greedy;
  }
  for (let target = place + 1; target <= steps.length && (open & bitsFrom(target)) !== 0; target++) {
    const barriers = steps[target]?.barriers ?? barriersAtEnd;
    barred ||= barriers.some(({ name, where, reach }) => (fresh || reach === "each") && holds(where, event, soFar, name));
    if (barred) return { takers, open: open & ~bitsFrom(target) };
    const step = steps[target];
    if (step === undefined || (open & bit(target)) === 0) continue;
    const takes = begins(step, event, soFar);
    if (takes) takers.push(target);
    if (closes(step.contiguity, takes)) open &= ~bit(target);
    barred = takes && step.greedy;
  }
  return { takers, open };
}

/** Places of the steps that take an event as the first of a match. */
export function beginners({ steps }: Declaration, event: unknown, soFar: Taken): readonly number[] {
  const takers: number[] = [];
  for (const [place, step] of steps.entries()) {
    const takes = begins(step, event, soFar);
    if (takes) takers.push(place);
    if (!step.optional || (takes && step.greedy)) break;
  }
  return takers;
}

/**
 * Whether the end is open with nothing left to wait for: no barrier that stands until the deadline, none that the next
 * event has to pass, and no greedy step that might still take more.
 */
export function hasEnded({ steps, barriersAtEnd }: Declaration, place: number, open: number, fresh: boolean): boolean {
  if ((open & bit(steps.length)) === 0) return false;
  if (barriersAtEnd.some(({ reach }) => reach === "each" || fresh)) return false;
  return !steps.some(({ greedy }, at) => at >= place && greedy && (open & bit(at)) !== 0);
}

function begins(step: Step, event: unknown, soFar: Taken): boolean {
  const over = step.until !== undefined && holds(step.until, event, soFar, step.name);
  return !over && holds(step.where, event, soFar, step.name);
}

/** Whether a target is closed once an event has gone by, or was taken. */
function closes(contiguity: Contiguity, takes: boolean): boolean {
  return contiguity === "strict" || (contiguity === "relaxed" && takes);
}

function holds(condition: Condition, event: unknown, soFar: Taken, name: string): boolean {
  const answer: unknown = condition(event, soFar);
  if (typeof answer === "boolean") return answer;
  // What it does later can only fail, and nobody waits for it: unheard, that would end the process.
  if (answer instanceof Promise) answer.catch(() => {});
  throw new HandlerError("PATTERN_CONDITION", `A condition of the step "${name}" gave no true or false. It has to, and at once.`);
}
