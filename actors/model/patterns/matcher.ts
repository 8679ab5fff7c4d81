/**
 * The matcher: folds events, in the order of their times, into partial matches, and gives matches. It is pure; the
 * state is plain JSON and goes in and out. It numbers the events and keeps none of them: a step says which event is to
 * be kept under its number and which are needed no more, and reads the kept ones back by number.
 *
 * Partial matches stand in one order, and so do the matches of one moment: by their events, the earlier event first;
 * a match before one that it goes on from; the earlier step first. So what begins first and takes most comes first.
 * The order is kept by construction: what goes on from a partial match is put before it, what begins is put last.
 *
 * An event costs a look at every partial match and what that has taken. Both bounds are on what is kept from event to event; beyond them the
 * first partial match in the order is dropped, and counted in the result.
 */
import type { Declaration, Taken } from "./declaration.ts";
import { bit, extended, lacksEvents, type PartialMatch, placeOf, type ReadEvent, takenBy } from "./partial-match.ts";
import { beginners, hasEnded, react } from "./reaction.ts";
import { Skipping } from "./skipping.ts";

/** Partial matches of one pattern and key. */
export const PARTIAL_MATCHES_MAX = 1_000;
/** Events taken by all of them, an event counted for each; so never more events are kept. */
export const TAKEN_EVENTS_MAX = 10_000;

export interface MatcherState {
  /** Number of the next event. */
  readonly next: number;
  readonly partials: readonly PartialMatch[];
}

export const NO_STATE: MatcherState = { next: 0, partials: [] };

export interface Found {
  /** It is no match: its time was over before every step had its events. */
  readonly timedOut: boolean;
  /** Time of the event, or the deadline, with which it became known. */
  readonly at: number;
  /** Numbers of its events. */
  readonly numbers: readonly number[];
  /** Its events by step. */
  readonly events: Taken;
}

export interface Advance {
  readonly state: MatcherState;
  /** In the order in which it became known. */
  readonly found: readonly Found[];
  /** Partial matches that were dropped at a bound. */
  readonly dropped: number;
  /** Number under which the event is to be kept; `undefined` when nothing needs it. */
  readonly kept: number | undefined;
  /** Numbers of kept events that nothing needs any more. */
  readonly released: readonly number[];
}

/** Folds an event in. Its time is not before that of the one before; events of one time are in order of arrival. */
export function advance(
  declaration: Declaration,
  state: MatcherState,
  event: { readonly time: number; readonly value: unknown },
  read: ReadEvent,
): Advance {
  const number = state.next;
  const passed = passDeadlines(declaration, state.partials, event.time, read);
  const candidates: Candidate[] = [];
  const add = (partial: PartialMatch, fresh: boolean) =>
    candidates.push({ partial, ended: hasEnded(declaration, placeOf(partial), partial.open, fresh) });
  for (const partial of passed.partials) {
    const fresh = partial.taken.at(-1) === number - 1;
    const { takers, open } = react(declaration, partial, event.value, takenBy(declaration, partial, read), fresh);
    for (const taker of takers) add(extended(declaration, partial, taker, number, event.time), true);
    add(open === partial.open ? partial : { ...partial, open }, false);
  }
  for (const taker of beginners(declaration, event.value, takenBy(declaration, undefined, read)))
    add(extended(declaration, undefined, taker, number, event.time), true);
  const settled = settle(declaration, candidates);
  const readAll: ReadEvent = (wanted) => (wanted === number ? event.value : read(wanted));
  const kept = bounded(state.partials, settled.partials, number + 1);
  return {
    ...kept,
    found: [...passed.found, ...settled.matches.map((match) => foundIn(declaration, match, event.time, false, readAll))],
    kept: kept.state.partials.some(({ taken }) => taken.at(-1) === number) ? number : undefined,
  };
}

/** Time comes to `time`: what had to end by then is a match, or timed out. It may be called as often as one likes. */
export function advanceTime(declaration: Declaration, state: MatcherState, time: number, read: ReadEvent): Advance {
  const { partials, found } = passDeadlines(declaration, state.partials, time, read);
  return { ...bounded(state.partials, partials, state.next), found, kept: undefined };
}

/** When time has something to end; `undefined` for never. */
export function nextDeadline({ withinMs }: Declaration, { partials }: MatcherState): number | undefined {
  const first = partials[0];
  return withinMs === undefined || first === undefined ? undefined : first.start + withinMs;
}

/** Those that begin first end first; so they are ended in the order in which they stand. */
function passDeadlines(declaration: Declaration, partials: readonly PartialMatch[], time: number, read: ReadEvent) {
  const { withinMs = Infinity, steps } = declaration;
  const due = partials.filter(({ start }) => start + withinMs <= time);
  const skipping = new Skipping(declaration);
  const found: Found[] = [];
  for (const partial of due) {
    if (skipping.rulesOut(partial)) continue;
    const ended = (partial.open & bit(steps.length)) !== 0;
    if (!ended && !lacksEvents(declaration, partial)) continue;
    if (ended) skipping.note(partial);
    found.push(foundIn(declaration, partial, partial.start + withinMs, !ended, read));
  }
  return { partials: partials.slice(due.length).filter((partial) => !skipping.rulesOut(partial)), found };
}

interface Candidate {
  readonly partial: PartialMatch;
  /** It is a match now. It may still go on. */
  readonly ended: boolean;
}

/** Emits what has ended, in the order in which it stands, and keeps what is still open and not ruled out by any of it. */
function settle(declaration: Declaration, candidates: readonly Candidate[]) {
  const end = bit(declaration.steps.length);
  const skipping = new Skipping(declaration);
  const matches: PartialMatch[] = [];
  const partials: PartialMatch[] = [];
  for (const { partial, ended } of candidates) {
    if (ended && !skipping.rulesOut(partial)) {
      skipping.note(partial);
      matches.push(partial);
    }
    const open = ended ? partial.open & ~end : partial.open;
    if (open !== 0) partials.push(open === partial.open ? partial : { ...partial, open });
  }
  return { matches, partials: partials.filter((partial) => !skipping.rulesOut(partial)) };
}

/** What is kept of `partials` within the bounds, and what that means for the events that are kept. */
function bounded(before: readonly PartialMatch[], partials: readonly PartialMatch[], next: number) {
  let takenEvents = partials.reduce((sum, { taken }) => sum + taken.length, 0);
  let dropped = 0;
  while (partials.length - dropped > PARTIAL_MATCHES_MAX || takenEvents > TAKEN_EVENTS_MAX) {
    takenEvents -= partials[dropped]!.taken.length;
    dropped++;
  }
  const left = dropped === 0 ? partials : partials.slice(dropped);
  return {
    // With nothing under way the numbers begin anew, and the state is as it was before the first event.
    state: left.length === 0 ? NO_STATE : { next, partials: left },
    dropped,
    released: released(before, left),
  };
}

/** Numbers that `before` has and `left` has no more. What is still there has the same array of numbers. */
function released(before: readonly PartialMatch[], left: readonly PartialMatch[]): number[] {
  const same = new Set(left.map(({ taken }) => taken));
  const gone = new Set(before.flatMap(({ taken }) => (same.has(taken) ? [] : taken)));
  if (gone.size === 0) return [];
  for (const { taken } of left) for (const number of taken) gone.delete(number);
  return [...gone].sort((a, b) => a - b);
}

function foundIn(declaration: Declaration, partial: PartialMatch, at: number, timedOut: boolean, read: ReadEvent): Found {
  return { timedOut, at, numbers: partial.taken, events: takenBy(declaration, partial, read) };
}
