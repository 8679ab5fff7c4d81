/**
 * What arrives at an operator under test, at random: a few keys, times that come disordered, behind and late, ids that
 * come twice, and watermarks. And what a shard does with it by the rules of docs/events-and-time.md, written once more
 * and plainly, for all oracles: which elements reach a handler, and how far time has come when they do.
 */
import { mulberry32 } from "../../actors/random.ts";
import { TestLog } from "../support/entries.ts";

export interface Element {
  readonly id: string;
  readonly key: string;
  readonly time: number;
  readonly value: number;
  readonly group: string;
  /** Which of two inputs it is for. */
  readonly side: "left" | "right";
}

export type Arrival = { readonly element: Element } | { readonly watermark: number };

export interface ArrivalOptions {
  readonly seed: number;
  readonly count: number;
  readonly outOfOrdernessMs: number;
  readonly allowedLatenessMs: number;
  /** About how far one element is from the next. */
  readonly stepMs: number;
}

/** Times are small: windows of a few milliseconds show every edge. */
export const START = 1_000_000;

export function arrivals({ seed, count, outOfOrdernessMs, allowedLatenessMs, stepMs }: ArrivalOptions): Arrival[] {
  const random = mulberry32(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const made: Arrival[] = [];
  let now = START;
  for (let i = 0; i < count; i++) {
    now += random() < 0.1 ? below(stepMs * 20) : below(stepMs * 2 + 1);
    const back = random();
    const behind = back < 0.5 ? 0 : back < 0.8 ? below(outOfOrdernessMs + 1) : below(outOfOrdernessMs + allowedLatenessMs + stepMs * 2);
    const element: Element = {
      id: `e${i}`,
      key: `k${below(2)}`,
      time: now - behind,
      value: (below(200) - 100) / 10,
      group: "xyz"[below(3)]!,
      side: random() < 0.5 ? "left" : "right",
    };
    made.push({ element });
    if (random() < 0.05) made.push(made[below(made.length)]!);
    if (random() < 0.04) made.push({ watermark: now + below(stepMs * 10) - stepMs * 3 });
  }
  made.push({ watermark: now + 10_000_000 });
  return made;
}

/** What the operator sees: an element, and how far the watermark had come; or that the watermark has come further. */
export type Moment =
  | { readonly kind: "watermark"; readonly watermark: number }
  | { readonly kind: "element"; readonly element: Element; readonly watermark: number };

/** In the order in which a shard does it: the watermark first, then the element, if it is no duplicate and not late. */
export function moments(all: readonly Arrival[], outOfOrdernessMs: number, allowedLatenessMs: number): Moment[] {
  const seen = new Set<string>();
  const made: Moment[] = [];
  let watermark = Number.NEGATIVE_INFINITY;
  const raise = (to: number): void => {
    if (to <= watermark) return;
    watermark = to;
    made.push({ kind: "watermark", watermark });
  };
  for (const arrival of all) {
    if ("watermark" in arrival) {
      raise(arrival.watermark);
      continue;
    }
    const { element } = arrival;
    if (seen.has(element.id)) continue;
    seen.add(element.id);
    raise(element.time - outOfOrdernessMs);
    if (element.time >= watermark - allowedLatenessMs) made.push({ kind: "element", element, watermark });
  }
  return made;
}

/** The same as entries of a log. */
export function logOf(all: readonly Arrival[]): TestLog {
  const log = new TestLog("test", START + 100_000_000);
  for (const arrival of all) {
    if ("watermark" in arrival) log.watermark(arrival.watermark);
    else {
      const { id, key, time, ...data } = arrival.element;
      log.event({ id, type: `test.${data.side}`, key, time, data });
    }
  }
  return log;
}
