/**
 * Spans of time with what was gathered in them: the panes of a window, or sessions. Each lies under its start and its
 * group. The newest one lies in the cell's slot, so that an event of today costs no row of its own; the others are
 * entries. Which is which is a function of the log, and nobody outside can tell.
 */
import type { CellStore, CellView } from "../../cell.ts";
import { HandlerError } from "../../handler-error.ts";
import { KEY_TOKEN_MAX_BYTES, writeKey } from "../../key.ts";
import type { JsonSchema } from "../../layout.ts";
import { type AnySchema, storedSchema } from "../../schema.ts";
import { timeId, timeRange } from "../time-id.ts";

export interface Span {
  readonly start: number;
  /** Empty where the operator does not tell its elements apart. */
  readonly by: string;
}

const GROUP_MAX_CHARS = 128;
/** Of one operator at a time: each may fire in one call. */
export const GROUPS_MAX = 500;

/** Schema of a slot or an entry that holds a span. */
export function spanSchema(properties: Readonly<Record<string, JsonSchema>>, required: readonly string[]): AnySchema {
  const own = { start: { type: "integer" }, by: { type: "string" } };
  return storedSchema({ type: "object", properties: { ...own, ...properties }, required: ["start", "by", ...required] });
}

export class SpanTable<S extends Span> {
  readonly #store: CellStore;

  constructor(store: CellStore) {
    this.#store = store;
  }

  get(start: number, by: string): S | undefined {
    const newest = this.#store.slot() as S | undefined;
    if (newest === undefined) return undefined;
    if (newest.start === start && newest.by === by) return newest;
    // Nothing is newer than what lies in the slot.
    return start > newest.start ? undefined : (this.#store.entry(idOf(start, by)) as S | undefined);
  }

  put(span: S): void {
    const newest = this.#store.slot() as S | undefined;
    if (newest === undefined || (newest.start === span.start && newest.by === span.by)) this.#store.setSlot(span);
    else if (span.start <= newest.start) this.#store.setEntry(idOf(span.start, span.by), span);
    else {
      this.#store.setEntry(idOf(newest.start, newest.by), newest);
      this.#store.setSlot(span);
    }
  }

  delete({ start, by }: Span): void {
    const newest = this.#store.slot() as S | undefined;
    if (newest?.start !== start || newest.by !== by) {
      this.#store.deleteEntry(idOf(start, by));
      return;
    }
    const entries = [...this.#store.entries()];
    const next = entries.at(-1);
    if (next === undefined) this.#store.clearSlot();
    else {
      this.#store.deleteEntry(next[0]);
      this.#store.setSlot(next[1]);
    }
  }

  /** Those of a group that start from `from` on and before `to`, in order. Only what is there is looked at. */
  *between(from: number, to: number, by: string): Iterable<S> {
    for (const [, span] of this.#store.entries(timeRange(from, to - 1, ""))) if ((span as S).by === by) yield span as S;
    const newest = this.#store.slot() as S | undefined;
    // Nothing of its group starts behind it.
    if (newest !== undefined && newest.by === by && newest.start >= from && newest.start < to) yield newest;
  }

  /** All, by (start, by). */
  all(): S[] {
    return spansOf<S>(this.#store);
  }
}

export function spansOf<S extends Span>(view: CellView): S[] {
  const newest = view.slot() as S | undefined;
  const spans: S[] = [];
  for (const [, span] of view.entries()) spans.push(span as S);
  if (newest === undefined) return spans;
  // Of the newest start the slot may hold any group.
  let at = spans.length;
  while (at > 0 && isBehind(spans[at - 1]!, newest)) at--;
  spans.splice(at, 0, newest);
  return spans;
}

/** Of an operator that keeps one span for each group. Throws HandlerError WINDOW_GROUPS. */
export function checkGroups(store: CellStore, group: string): void {
  // One of them lies in the slot.
  if (group === "" || store.count() + 1 < GROUPS_MAX) return;
  throw new HandlerError(
    "WINDOW_GROUPS",
    `${store.path}: a window has at most ${GROUPS_MAX} groups. Make what "by" gives part of the key.`,
  );
}

/** A group as it may be part of an id. Throws HandlerError WINDOW_GROUP. */
export function groupOf(by: unknown, path: string): string {
  if (by === "") return by;
  if (typeof by === "string" && by.length <= GROUP_MAX_CHARS && writeKey(by) !== undefined) return by;
  throw new HandlerError(
    "WINDOW_GROUP",
    `${path}: a group is a well-formed text of at most ${GROUP_MAX_CHARS} characters, and ${KEY_TOKEN_MAX_BYTES} bytes as written.`,
  );
}

function isBehind(a: Span, b: Span): boolean {
  return a.start > b.start || (a.start === b.start && idOf(a.start, a.by) > idOf(b.start, b.by));
}

/** Sorts by start, then group as written. */
function idOf(start: number, by: string): string {
  const time = timeId(start);
  if (by === "") return time;
  return time + writeKey(by)!;
}
