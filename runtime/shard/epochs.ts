/**
 * Code epochs of a job in one partition: read by subject before the fold starts (DESIGN "Code is part of the history").
 *
 * An entry is folded only by the code of its epoch. The newest epoch entry that names `from` is the root: the history
 * begins there, whatever stood before it is void. In production a build that the journal does not name is refused;
 * in development it begins the history anew and says so.
 */
import { type EpochEntry, readJournalEntry, writeEpoch } from "../../actors/fold/journal.ts";
import { type CodeIdentity, type Epoch, sameCode } from "../../actors/fold/meta.ts";
import { epochSubject } from "../../actors/fold/subject.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import { primitives } from "../primitives.ts";

export interface EpochPlan {
  /** The root epoch, in force from `from` on. */
  readonly root: Epoch;
  readonly from: number;
  /** Epochs behind the root, oldest first. */
  readonly later: readonly Epoch[];
}

/** What to do about this build and the journal; a pure decision. */
export type EpochDecision =
  | { readonly do: "go" }
  | { readonly do: "append"; readonly from: number }
  | { readonly do: "refuse"; readonly error: TidemarkError };

export interface EpochSetting {
  readonly log: string;
  readonly partition: number;
  readonly job: string;
  readonly identity: CodeIdentity;
  /** `production` never folds a history anew by itself. */
  readonly profile: "development" | "production";
  /** The epoch of the committed state, in force also when the log was trimmed past every epoch entry. */
  readonly committed?: { readonly epoch: Epoch; readonly root: number };
}

interface Found extends EpochEntry {
  readonly sequence: number;
}

/** Reads the epochs, and appends the first one, or in development a new root, where that is needed. */
export async function openEpochs(
  log: PartitionLog,
  setting: EpochSetting,
): Promise<{ readonly plan: EpochPlan; readonly restarted: boolean }> {
  for (;;) {
    const { firstSequence } = await log.bounds();
    const epochs = await readEpochs(log, setting);
    const { committed } = setting;
    const trimmed = epochs.length === 0 && committed !== undefined && committed.root < firstSequence;
    const decision = decideEpoch(trimmed ? [committed.epoch] : epochs, setting, firstSequence);
    if (trimmed && decision.do === "go") {
      return { plan: { root: { ...committed.epoch, sequence: committed.root }, from: firstSequence, later: [] }, restarted: false };
    }
    if (decision.do === "refuse") throw decision.error;
    if (decision.do === "go") return { plan: planOf(epochs), restarted: false };
    const last = epochs.at(-1)?.sequence ?? 0;
    const text = writeEpoch(setting.identity, last, decision.from);
    try {
      await log.append(subjectOf(setting), Buffer.from(text), { expectedLastSubjectSequence: last });
    } catch (error) {
      if (isTidemarkError(error, "LOG_CONFLICT")) continue; // Another node was first: its epoch is read in the next round.
      throw error;
    }
    if (epochs.length > 0 || trimmed) return { plan: planOf(await readEpochs(log, setting)), restarted: true };
  }
}

/** The epochs as they stand, without deciding anything. Throws CODE_UNAVAILABLE when there is none. */
export async function readEpochPlan(log: PartitionLog, logName: string, partition: number, job: string): Promise<EpochPlan> {
  const epochs = await readEpochs(log, { log: logName, partition, job });
  if (epochs.length === 0) throw new TidemarkError("CODE_UNAVAILABLE", `${job}, partition ${partition}: there is no epoch yet.`);
  return planOf(epochs);
}

export function decideEpoch(epochs: readonly CodeIdentity[], setting: EpochSetting, firstSequence: number): EpochDecision {
  const newest = epochs.at(-1);
  if (newest === undefined) return { do: "append", from: firstSequence };
  if (epochs.every((epoch) => sameCode(epoch, setting.identity))) return { do: "go" };
  if (setting.profile === "development") return { do: "append", from: firstSequence };
  const { version, codeHash } = setting.identity;
  const where = `${setting.job}, partition ${setting.partition}: the epoch in force is version ${newest.version} (${newest.codeHash.slice(0, 12)}), this build is version ${version} (${codeHash.slice(0, 12)}).`;
  if (newest.version === version && newest.codeHash !== codeHash)
    return { do: "refuse", error: new TidemarkError("CODE_VERSION_UNCHANGED", where) };
  return { do: "refuse", error: new TidemarkError("CODE_UNAVAILABLE", where) };
}

/** Epochs from the root on, oldest first. */
async function readEpochs(log: PartitionLog, setting: Pick<EpochSetting, "log" | "partition" | "job">): Promise<Found[]> {
  const epochs: Found[] = [];
  let entry = await log.lastOn(subjectOf(setting));
  while (entry !== undefined) {
    const found = readJournalEntry(primitives.decodeUtf8(entry.payload) ?? "");
    if (found?.kind !== "epoch") {
      throw new TidemarkError(
        "CODE_UNAVAILABLE",
        `${setting.job}, partition ${setting.partition}: entry ${entry.sequence} is no epoch that this build can read.`,
      );
    }
    epochs.unshift({ ...found, sequence: entry.sequence });
    if (found.from !== undefined || found.previous === 0) return epochs;
    const at = await log.firstOn(subjectOf(setting), found.previous);
    if (at === undefined || at.sequence !== found.previous) {
      throw new TidemarkError("LOG_TRIMMED", `${setting.job}, partition ${setting.partition}: epoch entry ${found.previous} is gone.`);
    }
    entry = at;
  }
  return epochs;
}

function planOf(epochs: readonly Found[]): EpochPlan {
  const [root, ...later] = epochs as readonly [Found, ...Found[]];
  return { root: epochOf(root), from: root.from ?? 1, later: later.map(epochOf) };
}

function epochOf({ kind: _kind, from: _from, previous: _previous, ...epoch }: Found): Epoch {
  return epoch;
}

function subjectOf(setting: Pick<EpochSetting, "log" | "partition" | "job">): string {
  return epochSubject(setting.log, setting.partition, setting.job);
}
