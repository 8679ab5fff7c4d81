/** Ids of entries that sort by time: a fixed number of digits for the instant, then what tells those of one time apart. */

const TIME_OFFSET = 2 ** 52;
const TIME_CHARS = 11;
const NUMBER_CHARS = 3;
/** Above every digit. */
const END = "~";

/** Elements of one time that an operator can hold. */
export const SAME_TIME_MAX = 500;

export function timeId(time: number): string {
  return (time + TIME_OFFSET).toString(36).padStart(TIME_CHARS, "0");
}

export function numberedId(time: number, number: number): string {
  return timeId(time) + number.toString(36).padStart(NUMBER_CHARS, "0");
}

/** Of all that have a time from `from` to `to`, both included, under a prefix. */
export function timeRange(from: number, to: number, prefix: string): { readonly from: string; readonly to: string } {
  return { from: prefix + timeId(from), to: `${prefix}${timeId(to)}${END}` };
}

/** Of all under a prefix, and of those up to a time. */
export function prefixRange(prefix: string): { readonly from: string; readonly to: string } {
  return { from: prefix, to: prefix + END };
}

export function untilRange(to: number, prefix: string): { readonly from: string; readonly to: string } {
  return { from: prefix, to: `${prefix}${timeId(to)}${END}` };
}

/** The first number of that time that is free under a prefix; `undefined` when none is. */
export function freeId(time: number, isTaken: (id: string) => boolean, prefix = ""): string | undefined {
  for (let number = 0; number < SAME_TIME_MAX; number++) {
    const id = prefix + numberedId(time, number);
    if (!isTaken(id)) return id;
  }
  return undefined;
}
