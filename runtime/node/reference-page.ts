/** A page of a reference table from a shard's committed rows: the records in force at a time, by written id. */
import { referenceRow, referenceVersionRow } from "../../actors/fold/keys.ts";
import { inForce, readData, readSteps } from "../../actors/fold/reference-state.ts";
import { readKey } from "../../actors/model/key.ts";
import { formatInstant } from "../../actors/model/time.ts";
import type { ShardStore } from "../store/shard-store.ts";

export interface ReferenceQuery {
  readonly table: string;
  /** As a written token; empty for all. */
  readonly prefix: string;
  /** Written id behind which to go on; empty for the beginning. */
  readonly after: string;
  readonly limit: number;
  /** Instant at which the records are in force. */
  readonly asOf: number;
}

export interface ReferencePage {
  readonly items: readonly {
    readonly id: string;
    readonly version: number;
    readonly effectiveFrom: string;
    readonly data: unknown;
    /** Versions that the id has, those not in force too. */
    readonly versions: number;
  }[];
  /** Written id behind which to go on; `undefined` at the end. A page may be short of its limit before it. */
  readonly next: string | undefined;
}

const SCAN_ROWS = 200;
/** Ids that one page looks at, for most of a table may not be in force. */
const LOOKED_AT_MAX = 5_000;

export function referencePage(store: ShardStore, { table, prefix, after, limit, asOf }: ReferenceQuery): ReferencePage {
  const items: ReferencePage["items"][number][] = [];
  const end = referenceRow(table, `${prefix}\x7f`);
  const start = referenceRow(table, "").length;
  let last = after;
  for (let lookedAt = 0; lookedAt < LOOKED_AT_MAX; lookedAt += SCAN_ROWS) {
    const rows = store.scan(last > prefix ? `${referenceRow(table, last)}\0` : referenceRow(table, prefix), end, SCAN_ROWS);
    for (const { key, value } of rows) {
      const token = key.slice(start);
      last = token;
      const steps = readSteps(value);
      const step = inForce(steps, asOf);
      if (step === undefined || step.ended) continue;
      // Written in the same commit as the list that names it or in an earlier one, and never changed.
      const data = readData(store.get(referenceVersionRow(table, token, step.version))!);
      const { version, effectiveFrom } = step;
      items.push({ id: readKey(token)!, version, effectiveFrom: formatInstant(effectiveFrom), data, versions: steps.length });
      if (items.length === limit) return { items, next: token };
    }
    if (rows.length < SCAN_ROWS) return { items, next: undefined };
  }
  return { items, next: last };
}
