/** Sets of instants as half-open intervals, written plainly. */
export interface Interval {
  readonly from: number;
  /** The first instant that is not of it; Infinity where it has no end. */
  readonly until: number;
}

/** In order, none touching another. */
export function union(intervals: readonly Interval[]): Interval[] {
  const merged: { from: number; until: number }[] = [];
  for (const { from, until } of intervals.filter((each) => each.from < each.until).sort((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last.until) last.until = Math.max(last.until, until);
    else merged.push({ from, until });
  }
  return merged;
}

export function without(intervals: readonly Interval[], taken: readonly Interval[]): Interval[] {
  return union(taken).reduce<Interval[]>(
    (left, hole) =>
      left.flatMap(({ from, until }) =>
        [
          { from, until: Math.min(until, hole.from) },
          { from: Math.max(from, hole.until), until },
        ].filter((each) => each.from < each.until),
      ),
    union(intervals),
  );
}

export function holds(intervals: readonly Interval[], at: number): boolean {
  return intervals.some(({ from, until }) => from <= at && at < until);
}
