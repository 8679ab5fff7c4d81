/** Joins by their definitions, over all elements so far, at every moment. Nothing is ever forgotten here. */
import type { Element, Moment } from "./arrivals.ts";

export interface IntervalRules {
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly grouped: boolean;
  readonly type: "inner" | "left" | "right" | "outer";
  readonly allowedLatenessMs: number;
}

export interface Pair {
  readonly key: string;
  readonly time: number;
  readonly left: string | undefined;
  readonly right: string | undefined;
}

export function intervalPairs(all: readonly Moment[], rules: IntervalRules): Pair[] {
  const pairs: Pair[] = [];
  const elements: Element[] = [];
  const alone = new Set<Element>();
  const goes = (l: Element, r: Element): boolean =>
    l.key === r.key && (!rules.grouped || l.group === r.group) && r.time >= l.time - rules.beforeMs && r.time <= l.time + rules.afterMs;
  const isPaired = ({ id }: Element): boolean => pairs.some(({ left, right }) => left === id || right === id);
  const mayBeAlone = ({ side }: Element): boolean => rules.type === "outer" || rules.type === side;
  /** From here on nothing that still comes can go with it. */
  const aloneAt = ({ time, side }: Element): number =>
    time + (side === "left" ? rules.afterMs : rules.beforeMs) + rules.allowedLatenessMs + 1;

  for (const moment of all) {
    if (moment.kind === "element") {
      const own = moment.element;
      const others = elements.filter((other) => other.side !== own.side && (own.side === "left" ? goes(own, other) : goes(other, own)));
      for (const other of others.toSorted((a, b) => a.time - b.time)) {
        const [l, r] = own.side === "left" ? [own, other] : [other, own];
        pairs.push({ key: own.key, time: Math.max(l.time, r.time), left: l.id, right: r.id });
      }
      elements.push(own);
      continue;
    }
    const left = elements.filter((one) => mayBeAlone(one) && !isPaired(one) && !alone.has(one) && aloneAt(one) <= moment.watermark);
    for (const one of left.toSorted(
      (a, b) => aloneAt(a) - aloneAt(b) || compare(a.key, b.key) || compare(a.side, b.side) || a.time - b.time,
    )) {
      alone.add(one);
      pairs.push({ key: one.key, time: one.time, left: undefined, right: undefined, [one.side]: one.id });
    }
  }
  return pairs;
}

export interface WithRow {
  readonly key: string;
  readonly time: number;
  readonly id: string;
  readonly row: string | undefined;
  readonly behind: boolean;
}

/** The left ones with the right one that holds at their time, told when the watermark has passed them, or at once when it had. */
export function temporalPairs(all: readonly Moment[], type: "inner" | "left"): WithRow[] {
  const told: WithRow[] = [];
  const rows: Element[] = [];
  let waiting: Element[] = [];
  const tell = ({ key, time, id }: Element, behind: boolean): void => {
    const holding = rows.filter((row) => row.key === key && row.time <= time);
    // Sorting is stable: of equal times the one that came last.
    const row = holding.toSorted((a, b) => a.time - b.time).at(-1)?.id;
    if (row !== undefined || type === "left") told.push({ key, time, id, row, behind });
  };
  for (const moment of all) {
    if (moment.kind === "watermark") {
      const due = waiting.filter(({ time }) => time < moment.watermark);
      waiting = waiting.filter((element) => !due.includes(element));
      for (const element of due.sort((a, b) => a.time - b.time || compare(a.key, b.key))) tell(element, false);
    } else if (moment.element.side === "right") rows.push(moment.element);
    else if (moment.element.time < moment.watermark) tell(moment.element, true);
    else waiting.push(moment.element);
  }
  return told;
}

/** The newest of both sides at every change. */
export function tablePairs(all: readonly Moment[], keepMs: number, type: IntervalRules["type"]): Pair[] {
  const told: Pair[] = [];
  const rows: Element[] = [];
  for (const moment of all) {
    if (moment.kind !== "element") continue;
    const { element, watermark } = moment;
    const newest = (side: string): Element | undefined =>
      rows
        .filter((row) => row.key === element.key && row.side === side && row.time + keepMs >= watermark)
        .toSorted((a, b) => a.time - b.time)
        .at(-1);
    const known = newest(element.side);
    if (element.time + keepMs < watermark || (known !== undefined && known.time > element.time)) continue;
    rows.push(element);
    const [left, right] = [newest("left")?.id, newest("right")?.id];
    if (left === undefined && type !== "right" && type !== "outer") continue;
    if (right === undefined && type !== "left" && type !== "outer") continue;
    told.push({ key: element.key, time: element.time, left, right });
  }
  return told;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
