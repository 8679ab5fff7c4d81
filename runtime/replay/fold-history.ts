/**
 * Folds a whole history in memory, undisturbed or interrupted as asked: what every other way of folding the same
 * entries must equal, byte for byte.
 */
import type { LogEntry } from "../../actors/fold/entry.ts";
import { Fold } from "../../actors/fold/fold.ts";
import type { Guard } from "../../actors/fold/fold-options.ts";
import { META_ROW } from "../../actors/fold/keys.ts";
import { type CodeIdentity, type Meta, newMeta, readMeta } from "../../actors/fold/meta.ts";
import type { NumberedOutput } from "../../actors/fold/output-writer.ts";
import type { Job } from "../../actors/model/job.ts";
import { TidemarkError } from "../errors.ts";
import { primitives } from "../primitives.ts";
import { MemoryStore } from "../store/memory-store.ts";
import type { ShardStore } from "../store/shard-store.ts";

export interface History {
  readonly job: Job;
  readonly partition: number;
  readonly partitions: number;
  readonly identity: CodeIdentity;
  /** Sequence of the root epoch's entry, and the first sequence that it governs. */
  readonly epochRoot: number;
  readonly from: number;
  readonly entries: readonly LogEntry[];
  readonly skips?: ReadonlyMap<string, string>;
  readonly guard?: Guard;
  /** See TouchIndex. Default true. */
  readonly timelineIndex?: boolean;
  /** An empty one of its own by default. */
  readonly store?: ShardStore;
}

export interface Interruptions {
  /** Seals and commits after so many units. Default: only at the end. */
  readonly commitEveryUnits?: number;
  /** After each commit the fold is thrown away and built anew from the rows. */
  readonly crash?: boolean;
  readonly liveRowsMax?: number;
}

export interface Folded {
  readonly outputs: readonly NumberedOutput[];
  readonly stateHash: string;
  readonly meta: Meta;
  readonly store: ShardStore;
}

const NO_GUARD: Guard = { enter() {}, leave() {} };

/**
 * Throws CODE_UNAVAILABLE when entries stand behind the epoch entry of other code: only that code may fold them.
 * `onCommit` is told the position and state hash of each commit.
 */
export function foldHistory(
  history: History,
  interruptions: Interruptions = {},
  onCommit: (position: string, stateHash: string) => void = () => {},
): Folded {
  const store = history.store ?? new MemoryStore();
  const outputs: NumberedOutput[] = [];
  let fold = newFold(history, store, interruptions);
  let units = 0;
  let stateHash = "";
  const commit = (): void => {
    // One commit may hold more of them than a call takes arguments.
    for (const output of fold.takeOutputs()) outputs.push(output);
    const group = fold.seal();
    stateHash = group.stateHash;
    onCommit(fold.position, stateHash);
    store.commit(group.changes, () => fold.committed());
    if (interruptions.crash === true) fold = newFold(history, store, interruptions);
  };
  for (const entry of history.entries) {
    if (entry.sequence < fold.meta.cursor.sequence) continue;
    if (fold.handedOver) throw beyondItsCode(history, fold.meta);
    fold.open(entry);
    for (let more = true; more; ) {
      more = fold.unit();
      if (interruptions.commitEveryUnits === undefined || ++units % interruptions.commitEveryUnits !== 0) continue;
      commit();
      if (more && !fold.inEntry) fold.open(entry);
    }
  }
  commit();
  return { outputs, stateHash, meta: fold.meta, store };
}

function newFold(history: History, store: ShardStore, interruptions: Interruptions): Fold {
  const row = store.get(META_ROW);
  const meta = row === undefined ? firstMeta(history) : readMeta(row)!;
  return new Fold({
    job: history.job,
    partition: history.partition,
    partitions: history.partitions,
    committed: store,
    meta,
    primitives,
    guard: history.guard ?? NO_GUARD,
    identity: history.identity,
    skips: history.skips ?? new Map(),
    timelineIndex: history.timelineIndex ?? true,
    ...(interruptions.liveRowsMax === undefined ? {} : { liveRowsMax: interruptions.liveRowsMax }),
  });
}

function beyondItsCode({ job, partition }: History, { epoch }: Meta): TidemarkError {
  return new TidemarkError(
    "CODE_UNAVAILABLE",
    `${job.name}, partition ${partition}: what follows entry ${epoch.sequence} belongs to version ${epoch.version} (${epoch.codeHash.slice(0, 12)}); this build can answer for the entries up to that one.`,
  );
}

function firstMeta(history: History): Meta {
  return newMeta({ ...history.identity, sequence: history.epochRoot }, history.epochRoot, history.from);
}
