/**
 * Where in a log something became of a key, so that a question about it folds no further than it must: events on the
 * key's subject are found by that, the rest in the index that the shard keeps. Where it kept none, every entry may be one.
 */
import type { TouchedRange } from "../../actors/fold/touch-index.ts";
import type { PartitionLog } from "../log/partition-log.ts";

/** Entries, both included, that must be looked at. */
export interface TouchedSpan {
  readonly from: number;
  readonly to: number;
}

/** A piece of the index: sequences from where it was asked for on, and the entries for which it was kept. */
export interface IndexPiece {
  readonly sequences: readonly number[];
  /** False when there are more of them behind. */
  readonly whole: boolean;
  readonly covered: readonly TouchedRange[];
}

export interface TouchParts {
  readonly log: Pick<PartitionLog, "firstOn">;
  /** Of the key's own events. */
  readonly subject: string;
  /** The first entry that is not asked about. */
  readonly end: number;
  readonly index: (from: number) => Promise<IndexPiece>;
}

/** Up to `spansMax` spans from `from` on, ascending; neighbours are one. */
export async function touchedSpans(parts: TouchParts, from: number, spansMax: number): Promise<TouchedSpan[]> {
  const spans: TouchedSpan[] = [];
  for (let at = from; spans.length < spansMax; ) {
    const span = await nextSpan(parts, at);
    if (span === undefined) break;
    const last = spans.at(-1);
    if (last !== undefined && last.to + 1 === span.from) spans[spans.length - 1] = { from: last.from, to: span.to };
    else spans.push(span);
    at = span.to + 1;
  }
  return spans;
}

async function nextSpan(parts: TouchParts, from: number): Promise<TouchedSpan | undefined> {
  const { log, subject, end } = parts;
  if (from >= end) return undefined;
  const { sequences, whole, covered } = await parts.index(from);
  const range = covered.find((one) => one.from <= from && from < one.to);
  if (range === undefined) {
    const next = covered.find((one) => one.from > from)?.from ?? end;
    return { from, to: Math.min(next, end) - 1 };
  }
  const limit = Math.min(range.to, end);
  const own = (await log.firstOn(subject, from))?.sequence ?? end;
  const indexed = sequences[0] ?? (whole ? end : from);
  const first = Math.min(own, indexed);
  if (first < limit) return { from: first, to: first };
  return limit < end ? await nextSpan(parts, limit) : undefined;
}
