/**
 * What a shard without state does before it folds: it takes the newest snapshot that it can go on from.
 *
 * One that is damaged, of another format, or ahead of the output stream is passed over for an older one, and said so:
 * the log has the rest. One that is ahead of the log is not: the log lost its end, and recovery halts on it.
 */
import { STATE_FORMAT } from "../../actors/fold/meta.ts";
import type { Clock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { ShardStore } from "../store/shard-store.ts";
import { type ShardManifest, storedBytes } from "./manifest.ts";
import type { SnapshotSource } from "./snapshot-source.ts";

export interface ShardToRestore {
  readonly job: string;
  readonly log: string;
  readonly partition: number;
  readonly partitions: number;
  readonly store: ShardStore;
  /** Empties the store. */
  readonly clear: () => Promise<void>;
  /** Last sequence of the output stream. */
  readonly outputs: number;
  /** Log time of an entry; `undefined` when the log does not have it. */
  readonly storedAt: (sequence: number) => Promise<number | undefined>;
  readonly clock: Clock;
  readonly notice: (message: string) => void;
  readonly progress: (restoring: RestoreProgress) => void;
}

export interface RestoreProgress {
  readonly snapshot: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** A plain record. */
export interface RestoreReport {
  readonly snapshot: string;
  readonly bytes: number;
  readonly tookMs: number;
}

/** What was restored; `undefined` when there is nothing to go on from. Throws SNAPSHOT_STORE or SNAPSHOT_KEY_MISSING. */
export async function restoreNewest(source: SnapshotSource, shard: ShardToRestore): Promise<RestoreReport | undefined> {
  const name = `${shard.job}/${shard.partition}`;
  const tell = (message: string): void => shard.notice(`${name}: ${message}`);
  const sealed: { readonly name: string; readonly error: Error }[] = [];
  const manifests = await source.ofShard(shard.job, shard.partition, (name, error) => {
    if (isTidemarkError(error, "SNAPSHOT_KEY_MISSING")) sealed.push({ name, error });
    else tell(`a snapshot is passed over: ${error.message}`);
  });
  for (const manifest of manifests) {
    const why = unfit(manifest, shard) ?? (await ofLostLog(manifest, shard));
    if (why !== undefined) {
      tell(`the snapshot ${manifest.id} is passed over: ${why}`);
      continue;
    }
    try {
      await shard.clear();
      const totalBytes = storedBytes(manifest);
      tell(`no state here; restoring the snapshot ${manifest.id} (${Math.ceil(totalBytes / 1024)} KiB)`);
      const from = shard.clock.monotonic();
      const progress = (doneBytes: number): void => shard.progress({ snapshot: manifest.id, doneBytes, totalBytes });
      await source.restore(manifest, shard.store, { progress });
      const tookMs = Math.round(shard.clock.monotonic() - from);
      tell(`restored up to entry ${manifest.last.sequence} in ${tookMs} ms`);
      return { snapshot: manifest.id, bytes: totalBytes, tookMs };
    } catch (error) {
      if (!isTidemarkError(error, "SNAPSHOT_DAMAGED") && !isTidemarkError(error, "SNAPSHOT_MISSING")) throw error;
      await shard.clear();
      tell(`the snapshot ${manifest.id} is passed over: ${error.message}`);
    }
  }
  // To fold everything again for want of a key would be a costly way not to say so.
  const newest = sealed.sort((a, b) => (a.name < b.name ? 1 : -1))[0];
  if (newest !== undefined) throw newest.error;
  return undefined;
}

/** Why a snapshot is none for this shard here and now. */
function unfit(manifest: ShardManifest, shard: ShardToRestore): string | undefined {
  const { log, partitions, outputs, stateFormat } = manifest;
  if (log !== shard.log) return `it is of the log ${log}`;
  if (partitions !== shard.partitions) return `its log had ${partitions} partitions`;
  if (stateFormat > STATE_FORMAT)
    throw new TidemarkError(
      "SNAPSHOT_FORMAT",
      `${shard.job}/${shard.partition}: the snapshot ${manifest.id} has state of format ${stateFormat}, this build writes ${STATE_FORMAT}.`,
    );
  if (stateFormat < STATE_FORMAT) return `its state has format ${stateFormat}, this build reads ${STATE_FORMAT}`;
  if (outputs > shard.outputs) return `it has ${outputs} outputs and the stream ends at ${shard.outputs}`;
  return undefined;
}

/** A log that lost its tail and was filled again holds other entries where a snapshot from before ends: they were stored later. */
async function ofLostLog({ last, processingTime }: ShardManifest, shard: ShardToRestore): Promise<string | undefined> {
  const storedAt = last.sequence === 0 ? undefined : await shard.storedAt(last.sequence);
  return storedAt === undefined || storedAt <= processingTime
    ? undefined
    : `the log lost its entry ${last.sequence} and holds another one there`;
}
