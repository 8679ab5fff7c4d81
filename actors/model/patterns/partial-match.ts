/**
 * A partial match: the events that it has taken, by number, and which targets are still open to it. It is plain JSON.
 *
 * The targets of a partial match are the steps that may take the next event, and the end. Each has a bit: that of its
 * place among the steps, the end behind the last one. The step that took the last event is a target while it may take
 * more; those behind it are targets up to the first that cannot be skipped. A target once closed stays closed, and a
 * partial match without open targets is gone. So what may and may not lie between two events needs no looking back.
 */
import type { Declaration, Step, Taken } from "./declaration.ts";

export interface PartialMatch {
  /** Numbers of its events, ascending. */
  readonly taken: readonly number[];
  /** How many of them each step took, up to the one that took the last. */
  readonly counts: readonly number[];
  /** Time of its first event. */
  readonly start: number;
  /** Bits of the targets that are still open. */
  readonly open: number;
}

/** The event of that number. */
export type ReadEvent = (number: number) => unknown;

export function bit(target: number): number {
  return 1 << target;
}

/** Bits of `target` and of all behind it. */
export function bitsFrom(target: number): number {
  return -1 << target;
}

/** Place of the step that took the last event. */
export function placeOf({ counts }: PartialMatch): number {
  return counts.length - 1;
}

/** The partial match as it goes on with an event that the step at `place` takes; `undefined`: it begins. */
export function extended(
  { steps }: Declaration,
  from: PartialMatch | undefined,
  place: number,
  number: number,
  time: number,
): PartialMatch {
  const counts = from === undefined ? [] : [...from.counts];
  while (counts.length <= place) counts.push(0);
  counts[place]!++;
  const { min, max } = steps[place]!;
  const more = counts[place]! < max ? bit(place) : 0;
  const on = counts[place]! >= min ? targetsBehind(steps, place) : 0;
  return { taken: [...(from?.taken ?? []), number], counts, start: from?.start ?? time, open: more | on };
}

/** Bits of the steps behind `place` that may come next, and of the end when every one may be skipped. -1: where a match begins. */
function targetsBehind(steps: readonly Step[], place: number): number {
  let bits = 0;
  for (let target = place + 1; ; target++) {
    bits |= bit(target);
    if (target === steps.length || !steps[target]!.optional) return bits;
  }
}

/** Whether a step that cannot be skipped has not taken its events yet. */
export function lacksEvents({ steps }: Declaration, partial: PartialMatch): boolean {
  const place = placeOf(partial);
  return partial.counts[place]! < steps[place]!.min || steps.slice(place + 1).some(({ optional }) => !optional);
}

/** What a partial match has taken, by step. `undefined`: nothing yet. */
export function takenBy({ steps }: Declaration, partial: PartialMatch | undefined, read: ReadEvent): Taken {
  const taken: Record<string, readonly unknown[]> = {};
  let at = 0;
  for (let place = 0; place < steps.length; place++) {
    const count = partial?.counts[place] ?? 0;
    taken[steps[place]!.name] = count === 0 ? NOTHING : Object.freeze(partial!.taken.slice(at, at + count).map(read));
    at += count;
  }
  return taken;
}

const NOTHING: readonly unknown[] = Object.freeze([]);
