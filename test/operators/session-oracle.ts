/**
 * Sessions by their definition: put all elements of a key in order and cut where more than the gap lies between two. Done
 * anew at every moment; nothing is kept but the elements and which of them were told together, how often.
 */
import type { Element, Moment } from "./arrivals.ts";

export interface SessionRules {
  readonly gapMs: number;
  readonly grouped: boolean;
  /** Whether a session that was told is forgotten, and an element that would be told at once refused. */
  readonly closed: boolean;
}

export interface ToldSession {
  readonly key: string;
  readonly by: string;
  readonly revision: number;
  readonly elements: readonly Element[];
}

export function toldSessions(all: readonly Moment[], rules: SessionRules): ToldSession[] {
  const told: ToldSession[] = [];
  let elements: Element[] = [];
  const tell = (watermark: number): void => {
    for (const session of sessionsOf(elements, rules)) {
      if (session.end > watermark || told.some((one) => sameElements(one, session))) continue;
      if (rules.closed) elements = elements.filter((element) => !session.elements.includes(element));
      const before = told.filter((one) => one.elements.some((element) => session.elements.includes(element)));
      told.push({ key: session.key, by: session.by, revision: timesTold(before), elements: session.elements });
    }
  };
  for (const moment of all) {
    if (moment.kind === "element") {
      const { element, watermark } = moment;
      const joined = sessionsOf([...elements, element], rules).find((session) => session.elements.includes(element))!;
      if (rules.closed && joined.end <= watermark) continue;
      elements = [...elements, element];
    }
    tell(moment.watermark);
  }
  return told;
}

/** A session's revision goes on from the greatest of those that it was made of. */
function timesTold(before: readonly ToldSession[]): number {
  return before.reduce((most, { revision }) => Math.max(most, revision + 1), 0);
}

/** Cut where more than the gap is between two; `end`: when no element can join any more. By end, key and start. */
function sessionsOf(elements: readonly Element[], { gapMs, grouped }: SessionRules) {
  const sessions: { key: string; by: string; elements: Element[]; end: number }[] = [];
  for (const element of elements.toSorted((a, b) => a.time - b.time)) {
    const by = grouped ? element.group : "";
    const open = sessions.find((one) => one.key === element.key && one.by === by && one.end > element.time);
    if (open === undefined) sessions.push({ key: element.key, by, elements: [element], end: element.time + gapMs + 1 });
    else {
      open.elements.push(element);
      open.end = element.time + gapMs + 1;
    }
  }
  return sessions.sort(
    (a, b) => a.end - b.end || compare(a.key, b.key) || a.elements[0]!.time - b.elements[0]!.time || compare(a.by, b.by),
  );
}

function sameElements(a: { readonly elements: readonly Element[] }, b: { readonly elements: readonly Element[] }): boolean {
  return a.elements.length === b.elements.length && a.elements.every((element, i) => element === b.elements[i]);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
