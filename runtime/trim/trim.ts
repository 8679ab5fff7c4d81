/**
 * Trims a log and, where that is wanted, the outputs made from it, as a plan says.
 *
 * First the snapshots that the plan relies on are read, then epoch entries that would go are written again, and only then
 * messages are purged, by sequence and in steps; at last large results go that no entry names any more. Nothing of this is
 * remembered: after a death in the middle the next run makes a new plan of what there is.
 */
import { readJournalEntry, writeEpoch } from "../../actors/fold/journal.ts";
import { epochSubject } from "../../actors/fold/subject.ts";
import { isTidemarkError } from "../errors.ts";
import { askStream } from "../log/jetstream-api.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import type { Progress } from "../node/operations.ts";
import { primitives } from "../primitives.ts";
import { clearResults } from "../results/result-garbage.ts";
import type { BlobPlace } from "../snapshots/open-catalogue.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import { gatherTrimFacts, type TrimScope, type TrimWorld } from "./trim-facts.ts";
import { planTrim, type StreamPlan, type TrimPlan } from "./trim-plan.ts";

/** Messages of one purge. */
const STEP_MESSAGES = 100_000;

export interface TrimmerWorld extends TrimWorld {
  readonly snapshots: Pick<Snapshots, "list" | "get" | "verify">;
  /** Where large results lie; `undefined` where there are none. */
  readonly results: () => Promise<BlobPlace | undefined>;
}

export interface Trimmed {
  /** As it was carried out. */
  readonly plan: TrimPlan;
  /** Large results of calls that went, of all partitions. */
  readonly results: number;
}

export async function trimPlanOf(world: TrimWorld, scope: TrimScope): Promise<TrimPlan> {
  return planTrim(await gatherTrimFacts(world, scope));
}

/** Throws SNAPSHOT_DAMAGED before anything went, LOG_FULL, NATS_UNREACHABLE, SNAPSHOT_STORE. */
export async function trimLog(world: TrimmerWorld, scope: TrimScope, { signal, report }: Progress): Promise<Trimmed> {
  const plan = await trimPlanOf(world, scope);
  for (const id of new Set(plan.logs.flatMap(({ reliesOn }) => reliesOn))) {
    signal.throwIfAborted();
    await world.snapshots.verify(id, () => {});
  }
  for (const { partition, epochsAgain } of plan.logs) {
    for (const job of epochsAgain) await writeEpochAgain(world, scope.log, partition, job);
  }
  const streams = [...plan.logs, ...plan.outputs];
  const total = streams.reduce((sum, stream) => sum + removedBy(stream), 0);
  let done = 0;
  for (const stream of streams) {
    await purge(world, stream, signal, (removed) => report(done + removed, total));
    done += removedBy(stream);
  }
  report(done, total);
  return { plan, results: await clearLog(world, scope, signal) };
}

async function clearLog({ nc, now, results }: TrimmerWorld, { log: name, map }: TrimScope, signal: AbortSignal): Promise<number> {
  const place = await results();
  if (place === undefined) return 0;
  let cleared = 0;
  for (let partition = 0; partition < map.partitions; partition++) {
    const log = new NatsPartitionLog(nc, name, partition);
    cleared += await clearResults(place.blobs, { name, partition, log, now: now() }, signal);
  }
  return cleared;
}

/** Messages, those counted that were erased one by one before. */
export function removedBy({ first, keepFrom }: StreamPlan): number {
  return keepFrom - first;
}

async function purge(world: TrimWorld, { stream, first, keepFrom }: StreamPlan, signal: AbortSignal, progress: (removed: number) => void) {
  for (let at = first; at < keepFrom; ) {
    signal.throwIfAborted();
    at = Math.min(at + STEP_MESSAGES, keepFrom);
    await askStream(world.nc, stream, `STREAM.PURGE.${stream}`, { seq: at });
    progress(at - first);
  }
}

/**
 * The newest epoch entry of a job tells a shard without state that there was a history, and who trims later that there is
 * the job: so one stays. It continues the epoch with the code that was in force, and a fold goes on behind it.
 */
async function writeEpochAgain({ nc }: TrimWorld, logName: string, partition: number, job: string): Promise<void> {
  const log = new NatsPartitionLog(nc, logName, partition);
  const subject = epochSubject(logName, partition, job);
  const newest = await log.lastOn(subject);
  const epoch = readJournalEntry(primitives.decodeUtf8(newest?.payload ?? new Uint8Array(0)) ?? "");
  if (newest === undefined || epoch?.kind !== "epoch") return;
  const { kind: _kind, from: _from, previous: _previous, ...identity } = epoch;
  try {
    const text = Buffer.from(writeEpoch(identity, newest.sequence, undefined));
    await log.append(subject, text, { expectedLastSubjectSequence: newest.sequence });
  } catch (error) {
    // Somebody else has written one meanwhile: that is as good.
    if (!isTidemarkError(error, "LOG_CONFLICT")) throw error;
  }
}
