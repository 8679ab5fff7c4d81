/**
 * One reference entry: a copy of what stands in `<log>-reference`, applied only when the copy before it was the last
 * one applied. So copies may come twice, from two jobs' owners or two nodes, and out of their order, and every fold of
 * the log takes each once and in the source's order; a second copy changes nothing, and one behind a gap waits for its
 * like to be copied again.
 */
import { isName } from "../model/actor.ts";
import { RESERVED_NAMES } from "./activations.ts";
import { REFERENCE_ENTRY_MAX_BYTES } from "./bounds.ts";
import type { LogEntry } from "./entry.ts";
import type { FoldObserver } from "./fold-observer.ts";
import type { Primitives } from "./primitives.ts";
import { type RefusedRecord, readLink, readRecord } from "./reference-entry.ts";
import type { ShardState } from "./shard-state.ts";

export class ReferenceStep {
  readonly #state: ShardState;
  readonly #primitives: Primitives;

  readonly #observer: FoldObserver | undefined;

  constructor(state: ShardState, primitives: Primitives, observer: FoldObserver | undefined) {
    this.#observer = observer;
    this.#state = state;
    this.#primitives = primitives;
  }

  /** Gives why an entry is refused; its place in the order is taken all the same, or nothing behind it would ever count. */
  apply(entry: LogEntry, table: string): RefusedRecord | undefined {
    const { meta } = this.#state;
    const link = readLink(entry.headers);
    if (link === undefined) return { code: "bad-reference-entry", reason: "it does not say where it stands in its source" };
    if (link.previous !== meta.referenceSource) return undefined;
    meta.referenceSource = link.source;
    if (!isName(table) && !RESERVED_NAMES.has(table))
      return { code: "bad-reference-entry", reason: `this build knows no table "${table}"` };
    if (entry.payload.length > REFERENCE_ENTRY_MAX_BYTES) {
      return { code: "oversize", reason: `a record has at most ${REFERENCE_ENTRY_MAX_BYTES} bytes` };
    }
    const text = this.#primitives.decodeUtf8(entry.payload);
    const record = text === undefined ? { code: "bad-reference-entry", reason: "it is not UTF-8" } : readRecord(text);
    if ("code" in record) return record;
    const added = this.#state.reference.table(table).add(record);
    if (typeof added !== "number") return added;
    this.#state.kept(added);
    this.#observer?.record({ table, id: record.id, version: record.version });
    return undefined;
  }
}
