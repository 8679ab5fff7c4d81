/**
 * Windows by their definition: whenever time comes on, or an element comes, look at all elements so far and say which
 * windows are to be told. Nothing is kept but the elements and what was told. Slow, and short enough to be believed.
 */
import type { Element, Moment } from "./arrivals.ts";

export interface ToldWindow {
  readonly key: string;
  readonly start: number;
  readonly end: number;
  readonly by: string;
  readonly revision: number;
  readonly elements: readonly Element[];
}

interface Taken {
  readonly element: Element;
  readonly ends: readonly number[];
}

export interface WindowRules {
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs: number;
  /** Elements of different groups lie in different windows. */
  readonly grouped: boolean;
  /** Whether a window that is over takes no more elements: at all, or from so long behind its end. */
  readonly closedAfterMs: number;
}

export function toldWindows(all: readonly Moment[], rules: WindowRules): ToldWindow[] {
  const told: ToldWindow[] = [];
  /** Each with the ends of the windows that took it. */
  const taken: Taken[] = [];
  const tell = (key: string, by: string, end: number, revision: number): void => {
    const start = end - rules.sizeMs;
    const inside = taken.filter(({ element, ends }) => element.key === key && groupOf(element, rules) === by && ends.includes(end));
    const elements = inside.map(({ element }) => element).sort((a, b) => a.time - b.time);
    if (elements.length > 0) told.push({ key, start, end, by, revision, elements });
  };
  const timesTold = (key: string, by: string, end: number): number =>
    told.filter((one) => one.key === key && one.by === by && one.end === end).length;

  for (const moment of all) {
    if (moment.kind === "watermark") {
      for (const { key, by, end } of windowsOf(taken, rules)) {
        if (end <= moment.watermark && timesTold(key, by, end) === 0) tell(key, by, end, 0);
      }
      continue;
    }
    const { element, watermark } = moment;
    const by = groupOf(element, rules);
    const open = endsOf(element.time, rules).filter((end) => end > watermark);
    const closed = endsOf(element.time, rules).filter((end) => end <= watermark && end + rules.closedAfterMs > watermark);
    taken.push({ element, ends: [...closed, ...open] });
    for (const end of closed) tell(element.key, by, end, timesTold(element.key, by, end));
  }
  return told;
}

/** Every window with an element in it, in the order in which their ends come, then by key and group. */
function windowsOf(taken: readonly Taken[], rules: WindowRules) {
  const windows = taken.flatMap(({ element, ends }) => ends.map((end) => ({ key: element.key, by: groupOf(element, rules), end })));
  const unique = new Map(windows.map((one) => [`${one.key} ${one.by} ${one.end}`, one]));
  return [...unique.values()].sort((a, b) => a.end - b.end || compare(a.key, b.key) || compare(a.by, b.by));
}

function endsOf(time: number, { sizeMs, slideMs, offsetMs }: WindowRules): number[] {
  const ends: number[] = [];
  for (let end = Math.floor((time - offsetMs) / slideMs) * slideMs + offsetMs; end <= time + sizeMs; end += slideMs) {
    if (end > time && end - sizeMs <= time) ends.push(end);
  }
  return ends;
}

function groupOf(element: Element, { grouped }: WindowRules): string {
  return grouped ? element.group : "";
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
