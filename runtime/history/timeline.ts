/** The timeline of a key: what became of it, from a place of its log on, in pages. */

import { isBehind, lastFolded } from "./historic-target.ts";
import type { FoldWatch, History, Past, PastShard } from "./history.ts";
import type { KeyItem } from "./key-item.ts";
import { PIECE_BYTES_MAX } from "./key-look.ts";
import { type TouchedSpan, touchedSpans } from "./key-touches.ts";

/** A position, and how many items of it lie before: millions of timers may fire at one. */
export interface TimelinePlace {
  readonly sequence: number;
  readonly index: number;
  readonly passed?: number;
}

export interface TimelineQuestion {
  readonly shard: PastShard;
  readonly token: string;
  /** The first place that is wanted; `undefined`: the first that the log can still be folded from. */
  readonly from: TimelinePlace | undefined;
  readonly limit: number;
  readonly states: boolean;
}

export interface TimelinePage {
  readonly items: readonly KeyItem[];
  /** Where to go on; `undefined` at the end of what the shard has committed. */
  readonly next: TimelinePlace | undefined;
  /** False when it begins behind what the log no longer has. */
  readonly complete: boolean;
}

export interface TimelinePlan {
  readonly from: TimelinePlace;
  readonly complete: boolean;
  readonly past: Past;
  readonly spans: readonly TouchedSpan[];
  /** The first entry behind what the shard has committed. */
  readonly end: number;
}

/** Behind every event of an entry. */
export const WHOLE_ENTRY = Number.MAX_SAFE_INTEGER;

/** What a page takes. `undefined` when nothing became of the key from there on. Throws as History.past does. */
export async function planTimeline(history: History, question: TimelineQuestion): Promise<TimelinePlan | undefined> {
  const { shard, token, limit } = question;
  const touches = await history.touchesOf(shard, token);
  if (touches === undefined) return undefined;
  const start = question.from === undefined ? await history.start(shard) : undefined;
  const from = question.from ?? { sequence: start?.sequence ?? 1, index: 0 };
  const spans = await touchedSpans(touches, from.sequence, limit);
  const first = spans[0];
  const last = spans.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const within = first.from === from.sequence && from.index > 0;
  const target = within ? { sequence: from.sequence, index: from.index - 1 } : { sequence: first.from - 1, index: WHOLE_ENTRY };
  const past = await history.past(shard, { kind: "position", ...target });
  return {
    past: { ...past, entries: past.entries + last.to + 1 - first.from },
    from,
    complete: start?.whole !== false,
    spans,
    end: touches.end,
  };
}

export async function readTimeline(
  history: History,
  { token, limit, states }: TimelineQuestion,
  { past, from, complete, spans, end }: TimelinePlan,
  watch: FoldWatch,
): Promise<TimelinePage> {
  return await history.visit(past, watch, async (fold) => {
    await fold.look(token);
    if (states) await fold.showStates();
    const page = new Page(from, limit);
    for (const { to } of spans) {
      // It rests behind as many items as are wanted, and some of them may lie before the page.
      for (let found = -1; found !== 0 && page.left > 0 && fold.stand.cursor.sequence <= to; ) {
        const items = await fold.foldTo({ kind: "position", sequence: to, index: WHOLE_ENTRY }, page.left);
        page.add(items);
        found = items.length;
      }
      if (page.left <= 0) break;
    }
    const { items } = page;
    const last = items.at(-1);
    if (page.left <= 0 && last !== undefined && !isBehind(fold.stand.cursor, last)) return { items, complete, next: page.within(last) };
    const { sequence, index } = lastFolded(fold.stand);
    const inEntry = fold.stand.cursor.sequence === sequence;
    const next = inEntry ? { sequence, index: index + 1 } : { sequence: sequence + 1, index: 0 };
    const more = inEntry || (next.sequence < end && (page.left <= 0 || touchedIn(spans) >= limit));
    return { items, complete, next: more ? next : undefined };
  });
}

/** How many entries were looked for, at most: as many as a page has items, and there may be more behind. */
function touchedIn(spans: readonly TouchedSpan[]): number {
  return spans.reduce((sum, { from, to }) => sum + to + 1 - from, 0);
}

/** Gathers the items of a page: so many, and not much more than {@link PIECE_BYTES_MAX} of JSON. */
class Page {
  readonly items: KeyItem[] = [];
  readonly #from: TimelinePlace;
  readonly #limit: number;
  #toPass: number;
  #bytes = 0;

  constructor(from: TimelinePlace, limit: number) {
    this.#from = from;
    this.#limit = limit;
    this.#toPass = from.passed ?? 0;
  }

  /** Items that it may still take. */
  get left(): number {
    return this.#bytes >= PIECE_BYTES_MAX ? 0 : this.#limit - this.items.length;
  }

  add(items: readonly KeyItem[]): void {
    for (const item of items) {
      const { sequence, index } = this.#from;
      const at = item.sequence - sequence || item.index - index;
      if (at < 0) continue;
      if (at === 0 && this.#toPass > 0) this.#toPass--;
      else {
        this.items.push(item);
        this.#bytes += JSON.stringify(item).length;
      }
    }
  }

  /** Behind the last item, where more of its position lie ahead. */
  within({ sequence, index }: KeyItem): TimelinePlace {
    const begun = sequence === this.#from.sequence && index === this.#from.index ? (this.#from.passed ?? 0) : 0;
    const shown = this.items.filter((item) => item.sequence === sequence && item.index === index).length;
    return { sequence, index, passed: begun + shown };
  }
}
