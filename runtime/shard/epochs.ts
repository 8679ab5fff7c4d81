/**
 * Code epochs of a job in one partition: read by subject before the fold starts (DESIGN "Code is part of the history").
 *
 * An entry is folded only by the code of its epoch. The newest epoch entry that names `from` is the root: the history
 * begins there, whatever stood before it is void. An entry without `from` continues the epoch before it: that code
 * folds up to and including it, commits, and its successor starts there. So what a start asks is which epochs lie
 * ahead: that of the state, and the later ones. A build that they do not name is refused in production; in development
 * it begins the history anew and says so.
 */
import type { LogEntry } from "../../actors/fold/entry.ts";
import { type EpochBase, type EpochEntry, readJournalEntry, writeEpoch } from "../../actors/fold/journal.ts";
import { type CodeIdentity, type Epoch, sameCode } from "../../actors/fold/meta.ts";
import { epochSubject } from "../../actors/fold/subject.ts";
import { systemClock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import { primitives } from "../primitives.ts";

export interface EpochPlan {
  /** The root epoch, in force from `from` on. */
  readonly root: Epoch;
  readonly from: number;
  /** Epochs behind the root, oldest first. */
  readonly later: readonly Epoch[];
  /** The snapshot with which the history begins; `undefined` when it begins with nothing. */
  readonly base: EpochBase | undefined;
  /** Log time of the root's entry when it made an earlier history void: outputs of a stream older than that are void too. */
  readonly begunAt: number | undefined;
}

/** What to do about this build and the journal; a pure decision. */
export type EpochDecision =
  | { readonly do: "go" }
  | { readonly do: "append"; readonly from: number }
  | { readonly do: "refuse"; readonly error: TidemarkError };

/** CODE_UNAVAILABLE or CODE_VERSION_UNCHANGED: the build that the epoch in force names could go on. */
export class OtherBuildNeeded extends TidemarkError {
  readonly epoch: Epoch;

  constructor(detail: string, epoch: Epoch, code: "CODE_UNAVAILABLE" | "CODE_VERSION_UNCHANGED" = "CODE_UNAVAILABLE") {
    super(code, detail);
    this.epoch = epoch;
  }
}

/** Where the epochs of a shard stand. */
export interface EpochPlace {
  readonly log: string;
  readonly partition: number;
  readonly job: string;
}

export interface EpochSetting extends EpochPlace {
  readonly identity: CodeIdentity;
  /** `production` never folds a history anew by itself. */
  readonly profile: "development" | "production";
  /** Whoever begins a generation appends its first epoch: one that is gone is never made up for. */
  readonly generation?: boolean;
  /** The epoch of the committed state, in force also when the log was trimmed past every epoch entry. */
  readonly committed?: CommittedEpoch;
  /** Nothing is appended: what its owner has not begun yet is waited for, with SHARD_UNBEGUN. */
  readonly standby?: boolean;
  /** Asked before a history is made void: throws when that must not be, as while another node folds it. */
  readonly mayBeginAnew?: () => Promise<void>;
}

interface CommittedEpoch {
  readonly epoch: Epoch;
  /** Sequence of its history's root. */
  readonly root: number;
}

interface Found extends EpochEntry {
  readonly sequence: number;
  readonly logTime: number;
}

/** Tries to append the first epoch, or a new root, beside other nodes that do the same. */
const BEGIN_TRIES = 100;
const BEGIN_RETRY_MS = 20;
/** Tries of an append whose acknowledgement was lost, or that another writer was faster than. */
const HAND_OVER_TRIES = 8;

/**
 * Reads the epochs, and appends the first one, or in development a new root, where that is needed.
 * Throws CODE_UNAVAILABLE or CODE_VERSION_UNCHANGED when this build must not fold here (as {@link OtherBuildNeeded} where
 * another may), LOG_TRIMMED when nobody can tell, and for a standby SHARD_UNBEGUN.
 */
export async function openEpochs(log: PartitionLog, setting: EpochSetting): Promise<{ readonly plan: EpochPlan }> {
  for (let tries = 1; ; tries++) {
    const { firstSequence } = await log.bounds();
    const { epochs, plan, lastStored } = await knownEpochs(log, setting, firstSequence);
    const decision = decideEpoch(epochs, setting, firstSequence);
    if (decision.do === "refuse") throw decision.error;
    if (decision.do === "go") return { plan: plan! };
    if (setting.standby === true)
      throw new TidemarkError("SHARD_UNBEGUN", `${nameOf(setting)}: its owner has not begun it with this build.`);
    if (epochs.length > 0) await setting.mayBeginAnew?.();
    const text = writeEpoch(setting.identity, epochs.at(-1)?.sequence ?? 0, decision.from);
    try {
      await log.append(subjectOf(setting), Buffer.from(text), { expectedLastSubjectSequence: lastStored });
    } catch (error) {
      // Another node was first: its epoch is read in the next round. A replicated log may refuse the second before the first can be read.
      if (!isTidemarkError(error, "LOG_CONFLICT") || tries >= BEGIN_TRIES) throw error;
      await systemClock.sleep(BEGIN_RETRY_MS);
    }
  }
}

/** The epochs as they stand, without deciding anything. Throws CODE_UNAVAILABLE when there is none. */
export async function readEpochPlan(log: PartitionLog, logName: string, partition: number, job: string): Promise<EpochPlan> {
  const { firstSequence } = await log.bounds();
  const { plan } = await knownEpochs(log, { log: logName, partition, job }, firstSequence);
  if (plan === undefined) throw new TidemarkError("CODE_UNAVAILABLE", `${job}, partition ${partition}: there is no epoch yet.`);
  return plan;
}

/** What a snapshot says of its epoch. */
export type EpochName = Pick<Epoch, "sequence" | "version" | "codeHash">;

/**
 * The root of the history, and its epochs, oldest first. Where the log was trimmed past them, what a snapshot says of its own stands
 * in. Throws CODE_UNAVAILABLE when there is none, LOG_TRIMMED when the snapshot is older than what is gone.
 */
export async function epochsBeside(
  log: PartitionLog,
  place: EpochPlace,
  snapshot: { readonly epoch: EpochName; readonly epochRoot: number },
): Promise<{ readonly root: number; readonly epochs: readonly EpochName[] }> {
  const { firstSequence } = await log.bounds();
  const found = await findEpochs(log, place, firstSequence);
  const oldest = found[0];
  if (oldest !== undefined && isRoot(oldest)) return { root: oldest.sequence, epochs: found };
  const { epoch, epochRoot } = snapshot;
  if (epochRoot >= firstSequence && oldest === undefined)
    throw new TidemarkError("CODE_UNAVAILABLE", `${nameOf(place)}: there is no epoch yet.`);
  const stored = epoch.sequence >= firstSequence;
  if (epochRoot >= firstSequence || (!stored && oldest !== undefined && oldest.previous !== epoch.sequence))
    throw new TidemarkError("LOG_TRIMMED", `${nameOf(place)}: epoch entry ${oldest!.previous} is gone.`);
  return { root: epochRoot, epochs: stored ? found : [epoch, ...found] };
}

/** Whether a history begins with it. */
function isRoot({ from, previous }: Found): boolean {
  return from !== undefined || previous === 0;
}

/**
 * Appends the epoch entry with which the code that folds now, `own`, hands over to `next`; gives its sequence. Asked twice, it
 * appends once. Throws CODE_UNAVAILABLE when the log already names a third build, LOG_FULL, or what made NATS unreachable.
 */
export async function appendHandOver(
  log: PartitionLog,
  place: EpochPlace,
  own: CodeIdentity,
  next: CodeIdentity,
): Promise<{ readonly sequence: number }> {
  for (let attempt = 1; ; attempt++) {
    const newest = await newestEpoch(log, place);
    if (newest !== undefined && sameCode(newest, next)) return { sequence: newest.sequence };
    if (newest !== undefined && !sameCode(newest, own)) {
      throw new TidemarkError(
        "CODE_UNAVAILABLE",
        `${nameOf(place)}: the log hands over to ${codeOf(newest)} already, not to ${codeOf(next)}.`,
      );
    }
    const last = newest?.sequence ?? 0;
    try {
      const text = writeEpoch(next, last, undefined);
      return { sequence: await log.append(subjectOf(place), Buffer.from(text), { expectedLastSubjectSequence: last }) };
    } catch (error) {
      // A lost acknowledgement and another writer look alike from here; the next round reads what is there.
      const readAgain = isTidemarkError(error, "LOG_CONFLICT") || isTidemarkError(error, "PUBLISH_TIMEOUT");
      if (!readAgain || attempt >= HAND_OVER_TRIES) throw error;
    }
  }
}

/** Epochs of a shard from the root on, or from where the log was trimmed, oldest first; none when none was appended. */
export async function readEpochs(log: PartitionLog, place: EpochPlace): Promise<readonly Epoch[]> {
  const { firstSequence } = await log.bounds();
  return (await findEpochs(log, place, firstSequence)).map(epochOf);
}

/** Sequence of the entry that begins the history; `undefined` when the log was trimmed past it, or has none. Throws as `readEpochs` does. */
export async function readRoot(log: PartitionLog, place: EpochPlace): Promise<number | undefined> {
  const { firstSequence } = await log.bounds();
  const [oldest] = await findEpochs(log, place, firstSequence);
  return oldest !== undefined && isRoot(oldest) ? oldest.sequence : undefined;
}

/**
 * Appends the epoch entry with which a generation begins, behind those of earlier generations of its name; gives its sequence.
 * Throws LOG_CONFLICT when somebody else appends one at the same time, LOG_FULL, or what made NATS unreachable.
 */
export async function appendRoot(
  log: PartitionLog,
  place: EpochPlace,
  identity: CodeIdentity,
  begin: { readonly from: number; readonly base: EpochBase },
): Promise<number> {
  const previous = (await log.lastOn(subjectOf(place)))?.sequence ?? 0;
  const text = writeEpoch(identity, previous, begin.from, begin.base);
  return await log.append(subjectOf(place), Buffer.from(text), { expectedLastSubjectSequence: previous });
}

/** `epochs`: from the root on, oldest first. */
export function decideEpoch(epochs: readonly Epoch[], setting: EpochSetting, firstSequence: number): EpochDecision {
  const [governing, ...later] = epochsAhead(epochs, setting.committed);
  if (governing === undefined && setting.generation === true)
    return { do: "refuse", error: new TidemarkError("LOG_TRUNCATED", `${nameOf(setting)}: the entry with which it begins is gone.`) };
  if (governing === undefined) return { do: "append", from: firstSequence };
  const { identity } = setting;
  const mine = sameCode(governing, identity);
  if (mine && later.every((epoch) => sameCode(epoch, identity))) return { do: "go" };
  if (setting.profile === "development") return { do: "append", from: firstSequence };
  // An old build finishes a hand-over that was cut off: it folds up to its successor's entry and ends there.
  if (mine) return { do: "go" };
  return { do: "refuse", error: refusalOf(epochs, governing, setting) };
}

/** Which build has to be started, and what has to be done before this one can be. */
function refusalOf(epochs: readonly Epoch[], governing: Epoch, setting: EpochSetting): TidemarkError {
  const { identity } = setting;
  const said = `${nameOf(setting)}: the epoch in force is ${codeOf(governing)}, this build is ${codeOf(identity)}`;
  if (governing.version === identity.version && governing.codeHash !== identity.codeHash)
    return new OtherBuildNeeded(`${said}.`, governing, "CODE_VERSION_UNCHANGED");
  const ahead = epochs.find((epoch) => epoch.sequence > governing.sequence && sameCode(epoch, identity));
  if (ahead !== undefined) {
    const why = `its turn comes at entry ${ahead.sequence}, and the state here is not folded up to there: version ${governing.version} has to finish that first`;
    return new OtherBuildNeeded(`${said}; ${why}.`, governing);
  }
  const before = epochs.some((epoch) => epoch.sequence < governing.sequence && sameCode(epoch, identity));
  if (before) return new OtherBuildNeeded(`${said}, which handed over before entry ${governing.sequence}.`, governing);
  return new OtherBuildNeeded(`${said}${differenceOf(governing, identity)}.`, governing);
}

/** What sets two builds of one version and one code apart, where it is that. */
function differenceOf(epoch: CodeIdentity, own: CodeIdentity): string {
  if (epoch.version !== own.version || epoch.codeHash !== own.codeHash) return "";
  const parts = (["tidemark", "node", "icu", "tz"] as const).filter((part) => epoch[part] !== own[part]);
  const what = parts.map((part) => `${part} ${epoch[part]} and ${own[part]}`).join(", ");
  return `; they differ in ${what === "" ? "their settings" : what}`;
}

/** The epoch that governs the next entry, and those behind it. State of another root is void: then everything lies ahead. */
function epochsAhead(epochs: readonly Epoch[], committed: CommittedEpoch | undefined): readonly Epoch[] {
  if (committed === undefined || committed.root !== epochs[0]?.sequence) return epochs;
  return [committed.epoch, ...epochs.filter(({ sequence }) => sequence > committed.epoch.sequence)];
}

interface KnownEpochs {
  readonly epochs: readonly Epoch[];
  readonly plan: EpochPlan | undefined;
  /** Sequence of the newest epoch entry that the log still holds; 0 for none. */
  readonly lastStored: number;
}

/** Epochs from the root on, oldest first; the committed state stands in for what was trimmed away before it. */
async function knownEpochs(
  log: PartitionLog,
  setting: EpochPlace & Pick<EpochSetting, "committed">,
  firstSequence: number,
): Promise<KnownEpochs> {
  const { committed } = setting;
  const found = await findEpochs(log, setting, firstSequence);
  const oldest = found[0];
  const lastStored = found.at(-1)?.sequence ?? 0;
  if (oldest !== undefined && isRoot(oldest)) return { epochs: found.map(epochOf), plan: planOf(found), lastStored };
  if (committed !== undefined && committed.root < firstSequence) {
    const root = { ...committed.epoch, sequence: committed.root };
    const later = found.map(epochOf);
    return { epochs: [root, ...later], plan: { root, from: firstSequence, later, base: undefined, begunAt: undefined }, lastStored };
  }
  if (oldest === undefined) return { epochs: [], plan: undefined, lastStored };
  throw new TidemarkError("LOG_TRIMMED", `${nameOf(setting)}: epoch entry ${oldest.previous} is gone.`);
}

/** Back to the root, or to where the log was trimmed; oldest first. */
async function findEpochs(log: PartitionLog, place: EpochPlace, firstSequence: number): Promise<Found[]> {
  const epochs: Found[] = [];
  let found = await newestEpoch(log, place);
  while (found !== undefined) {
    epochs.unshift(found);
    const { from, previous } = found;
    if (from !== undefined || previous === 0 || previous < firstSequence) return epochs;
    const at = await log.firstOn(subjectOf(place), previous);
    if (at === undefined || at.sequence !== previous) {
      throw new TidemarkError("LOG_TRIMMED", `${nameOf(place)}: epoch entry ${previous} is gone.`);
    }
    found = readFound(place, at);
  }
  return epochs;
}

async function newestEpoch(log: PartitionLog, place: EpochPlace): Promise<Found | undefined> {
  const entry = await log.lastOn(subjectOf(place));
  return entry === undefined ? undefined : readFound(place, entry);
}

function readFound(place: EpochPlace, { sequence, logTime, payload }: LogEntry): Found {
  const found = readJournalEntry(primitives.decodeUtf8(payload) ?? "");
  if (found?.kind !== "epoch") {
    throw new TidemarkError("CODE_UNAVAILABLE", `${nameOf(place)}: entry ${sequence} is no epoch that this build can read.`);
  }
  return { ...found, sequence, logTime };
}

function planOf(epochs: readonly Found[]): EpochPlan {
  const [root, ...later] = epochs as readonly [Found, ...Found[]];
  const begunAt = root.previous === 0 ? undefined : root.logTime;
  return { root: epochOf(root), from: root.from ?? 1, later: later.map(epochOf), base: root.base, begunAt };
}

function epochOf({ kind: _kind, from: _from, previous: _previous, base: _base, logTime: _logTime, ...epoch }: Found): Epoch {
  return epoch;
}

function subjectOf(place: EpochPlace): string {
  return epochSubject(place.log, place.partition, place.job);
}

function nameOf(place: EpochPlace): string {
  return `${place.job}, partition ${place.partition}`;
}

/** As messages name a build. */
export function codeOf({ version, codeHash }: CodeIdentity): string {
  return `version ${version} (${codeHash.slice(0, 12)})`;
}
