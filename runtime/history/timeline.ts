/** The timeline of a key: what became of it, from a place of its log on, in pages. */

import { lastFolded } from "./historic-target.ts";
import type { FoldWatch, History, Past, PastShard } from "./history.ts";
import type { KeyItem } from "./key-item.ts";
import { type TouchedSpan, touchedSpans } from "./key-touches.ts";

export interface TimelineQuestion {
  readonly shard: PastShard;
  readonly token: string;
  /** The first place that is wanted. */
  readonly from: { readonly sequence: number; readonly index: number };
  readonly limit: number;
  readonly states: boolean;
}

export interface TimelinePage {
  readonly items: readonly KeyItem[];
  /** Where to go on; `undefined` at the end of what the shard has committed. */
  readonly next: { readonly sequence: number; readonly index: number } | undefined;
}

export interface TimelinePlan {
  readonly past: Past;
  readonly spans: readonly TouchedSpan[];
  /** The first entry behind what the shard has committed. */
  readonly end: number;
}

/** Behind every event of an entry. */
export const WHOLE_ENTRY = Number.MAX_SAFE_INTEGER;

/** What a page takes. `undefined` when nothing became of the key from there on. Throws as History.past does. */
export async function planTimeline(history: History, question: TimelineQuestion): Promise<TimelinePlan | undefined> {
  const { shard, token, from, limit } = question;
  const touches = await history.touchesOf(shard, token);
  if (touches === undefined) return undefined;
  const spans = await touchedSpans(touches, from.sequence, limit);
  const first = spans[0];
  const last = spans.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const within = first.from === from.sequence && from.index > 0;
  const target = within ? { sequence: from.sequence, index: from.index - 1 } : { sequence: first.from - 1, index: WHOLE_ENTRY };
  const past = await history.past(shard, { kind: "position", ...target });
  return { past: { ...past, entries: past.entries + last.to + 1 - first.from }, spans, end: touches.end };
}

export async function readTimeline(
  history: History,
  { token, limit, states, from }: TimelineQuestion,
  { past, spans, end }: TimelinePlan,
  watch: FoldWatch,
): Promise<TimelinePage> {
  return await history.visit(past, watch, async (fold) => {
    await fold.look(token);
    if (states) await fold.showStates();
    const items: KeyItem[] = [];
    for (const { to } of spans) {
      const found = await fold.foldTo({ kind: "position", sequence: to, index: WHOLE_ENTRY }, limit - items.length);
      items.push(...found.filter((item) => item.sequence > from.sequence || (item.sequence === from.sequence && item.index >= from.index)));
      if (items.length >= limit) break;
    }
    const { sequence, index } = lastFolded(fold.stand);
    const inEntry = fold.stand.cursor.sequence === sequence;
    const next = inEntry ? { sequence, index: index + 1 } : { sequence: sequence + 1, index: 0 };
    const more = inEntry || (next.sequence < end && (items.length >= limit || spans.length >= limit));
    return { items, next: more ? next : undefined };
  });
}
