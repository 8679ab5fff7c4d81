/** Histories whose past is asked for: a log in memory that holds the entries of a test, and folds of their beginnings. */

import type { LogEntry } from "../../actors/fold/entry.ts";
import type { Job } from "../../actors/model/job.ts";
import { HistoricFold, type HistoricParts } from "../../runtime/history/historic-fold.ts";
import type { HistoricTarget } from "../../runtime/history/historic-target.ts";
import { MemoryPartitionLog } from "../../runtime/log/memory-partition-log.ts";
import type { PartitionLog } from "../../runtime/log/partition-log.ts";
import { type Folded, foldHistory } from "../../runtime/replay/fold-history.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import { identityFor, type TestLog } from "./entries.ts";

export async function memoryLogOf(entries: readonly LogEntry[], stream = "past-0"): Promise<MemoryPartitionLog> {
  const log = new MemoryPartitionLog({ stream });
  for (const { logTime, subject, payload, headers } of entries) {
    log.now = logTime;
    await log.append(subject, payload, headers === undefined ? {} : { headers });
  }
  return log;
}

/** A fold into the past of a test's log, from its first entry on unless `parts` name a store that holds more. */
export async function openPast(job: Job, log: PartitionLog, parts: Partial<HistoricParts> = {}): Promise<HistoricFold> {
  const identity = identityFor(job);
  return await HistoricFold.open({
    job,
    partition: 0,
    partitions: 1,
    identity,
    log,
    store: new MemoryStore(),
    begin: async () => ({ root: { ...identity, sequence: 0 }, from: 1, later: [], base: undefined, begunAt: undefined }),
    skips: new Map(),
    guard: { enter() {}, leave() {} },
    ...parts,
  });
}

/** Steps of a few entries each, so that a test has many of them. */
export async function foldTo(fold: HistoricFold, target: HistoricTarget, end = Number.POSITIVE_INFINITY): Promise<string> {
  for (;;) {
    const result = await fold.step(target, { end, entriesMax: 3, msMax: 1_000 });
    if (result !== "more") return result;
  }
}

/** One fresh fold of the first `count` entries. */
export function foldedBeginning(test: TestLog, job: Job, count: number): Folded {
  return foldHistory({ ...test.history(job), entries: test.entries.slice(0, count) });
}

/** The same up to an item of the last one, cut off behind it. */
export function foldedWithin(test: TestLog, job: Job, sequence: number, index: number): Folded {
  const entries = test.entries.slice(0, sequence);
  const last = entries.at(-1)!;
  entries[sequence - 1] = { ...last, payload: cutBehind(last.payload, index) };
  return foldHistory({ ...test.history(job), entries });
}

function cutBehind(payload: Uint8Array, index: number): Uint8Array {
  const value = JSON.parse(Buffer.from(payload).toString()) as unknown[] | { readonly results: readonly unknown[] };
  const cut = Array.isArray(value) ? value.slice(0, index + 1) : { ...value, results: value.results.slice(0, index + 1) };
  return Buffer.from(JSON.stringify(cut));
}

/** How many items an entry carries, by what it says itself. */
export function itemsOf({ payload }: LogEntry): number {
  try {
    const value = JSON.parse(Buffer.from(payload).toString()) as
      | { readonly kind?: string; readonly results?: readonly unknown[] }
      | unknown[];
    if (Array.isArray(value)) return value.length;
    return value.kind === "result" && Array.isArray(value.results) ? value.results.length : 1;
  } catch {
    return 1;
  }
}
