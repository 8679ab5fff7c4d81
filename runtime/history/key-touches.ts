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
  /** At most `max` sequences of it. */
  readonly index: (from: number, max: number) => Promise<IndexPiece>;
}

/**
 * Spans from `from` on, ascending; neighbours are one. It ends with the `touchesMax`th touched entry: what lies behind is
 * another question's. So much of the index is read, and no more.
 */
export async function touchedSpans(parts: TouchParts, from: number, touchesMax: number): Promise<TouchedSpan[]> {
  const spans: TouchedSpan[] = [];
  const places = new TouchedPlaces(parts, touchesMax);
  let at = from;
  for (let touched = 0; touched < touchesMax; touched++) {
    const span = await places.next(at);
    if (span === undefined) break;
    const last = spans.at(-1);
    if (last !== undefined && last.to + 1 === span.from) spans[spans.length - 1] = { from: last.from, to: span.to };
    else spans.push(span);
    at = span.to + 1;
  }
  return spans;
}

/** Asked for ascending places: what was read of the index, and where the key's next own event stands, holds for many. */
class TouchedPlaces {
  readonly #parts: TouchParts;
  readonly #max: number;
  #piece: IndexPiece | undefined;
  /** Of the piece: how many lie before the place asked for. */
  #passed = 0;
  #own: number | undefined;

  constructor(parts: TouchParts, max: number) {
    this.#parts = parts;
    this.#max = max;
  }

  async next(from: number): Promise<TouchedSpan | undefined> {
    const { end } = this.#parts;
    if (from >= end) return undefined;
    const { sequences, whole, covered } = await this.#pieceFrom(from);
    const range = covered.find((one) => one.from <= from && from < one.to);
    if (range === undefined) {
      const next = covered.find((one) => one.from > from)?.from ?? end;
      return { from, to: Math.min(next, end) - 1 };
    }
    const limit = Math.min(range.to, end);
    const indexed = sequences[this.#passed] ?? (whole ? end : from);
    const first = Math.min(await this.#ownFrom(from), indexed);
    if (first < limit) return { from: first, to: first };
    return limit < end ? await this.next(limit) : undefined;
  }

  async #pieceFrom(from: number): Promise<IndexPiece> {
    let piece = this.#piece;
    if (piece !== undefined) {
      while (this.#passed < piece.sequences.length && piece.sequences[this.#passed]! < from) this.#passed++;
      if (piece.whole || this.#passed < piece.sequences.length) return piece;
    }
    piece = await this.#parts.index(from, this.#max);
    this.#piece = piece;
    this.#passed = 0;
    return piece;
  }

  async #ownFrom(from: number): Promise<number> {
    const { log, subject, end } = this.#parts;
    if (this.#own === undefined || this.#own < from) this.#own = (await log.firstOn(subject, from))?.sequence ?? end;
    return this.#own;
  }
}
