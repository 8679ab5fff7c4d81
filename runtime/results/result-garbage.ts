/**
 * Clears away the large results of a partition that no entry of its log names: those whose entries were trimmed, and what a
 * death between storing a result and appending its entry left behind.
 *
 * Only old ones go. No entry that comes yet names one of these, for whoever appends one names what was stored within the
 * hour; so what the log does not name when it is looked at, it never will. Names are asked of the log's leader, one entry
 * after the other: a replica that is behind would have an entry too few.
 */
import { awayOutputs } from "../../actors/fold/stored-results.ts";
import { storedSubject } from "../../actors/fold/subject.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import { primitives } from "../primitives.ts";
import type { BlobStore } from "../snapshots/blobs/blob-store.ts";
import { YOUNG_MS } from "./bounds.ts";
import { resultBlob, resultsPrefix, storedAt } from "./result-blobs.ts";

export interface ResultScope {
  /** Of the log. */
  readonly name: string;
  readonly partition: number;
  readonly log: Pick<PartitionLog, "stream" | "firstOn">;
  /** Milliseconds. */
  readonly now: number;
}

/** Gives how many went. Throws SNAPSHOT_STORE, NATS_UNREACHABLE. */
export async function clearResults(blobs: BlobStore, { name, partition, log, now }: ResultScope, signal: AbortSignal): Promise<number> {
  const { stream } = log;
  const old = new Set<string>();
  for (const blob of await blobs.list(resultsPrefix(stream))) {
    const at = storedAt(stream, blob.name);
    if (at !== undefined && at <= now - YOUNG_MS) old.add(blob.name);
  }
  const subject = storedSubject(name, partition, "*");
  for (let from = 1; old.size > 0; ) {
    signal.throwIfAborted();
    const entry = await log.firstOn(subject, from);
    if (entry === undefined) break;
    const away = awayOutputs(primitives.decodeUtf8(entry.payload) ?? "");
    for (const stored of away?.stored ?? []) old.delete(resultBlob(stream, stored));
    from = entry.sequence + 1;
  }
  for (const blob of old) {
    signal.throwIfAborted();
    await blobs.delete(blob);
  }
  return old.size;
}
