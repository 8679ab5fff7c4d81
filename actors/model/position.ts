/**
 * A position names one entry of a partition: `<partition>:<sequence>.<index>`, the index counting
 * the events of a batch from 0. A single event has index 0.
 */
export interface Position {
  readonly partition: number;
  readonly sequence: number;
  readonly index: number;
}

const TEXT = /^(0|[1-9]\d{0,3}):(0|[1-9]\d{0,15})\.(0|[1-9]\d{0,6})$/;

export function formatPosition(partition: number, sequence: number, index: number): string {
  return `${partition}:${sequence}.${index}`;
}

/** Reads a position; `undefined` when the text is none. */
export function parsePosition(text: string): Position | undefined {
  const match = TEXT.exec(text);
  if (match === null) return undefined;
  const sequence = Number(match[2]);
  if (!Number.isSafeInteger(sequence)) return undefined;
  return { partition: Number(match[1]), sequence, index: Number(match[3]) };
}

/** Negative when `a` comes before `b` in the same partition. */
export function comparePositions(a: Position, b: Position): number {
  return a.sequence - b.sequence || a.index - b.index;
}
