/**
 * What a shard finds at its start, and whether it may go on from there. Nothing is appended, and nothing deleted,
 * before the log was found to hold all that was folded: one that lost its tail must not be taken for a new one.
 */
import { undamaged } from "../../actors/fold/damaged-row.ts";
import { META_ROW } from "../../actors/fold/keys.ts";
import { type Meta, newMeta, readMeta, STATE_FORMAT } from "../../actors/fold/meta.ts";
import { committedStateHash } from "../../actors/fold/shard-state.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { TidemarkError } from "../errors.ts";
import { primitives } from "../primitives.ts";
import { type EpochPlan, openEpochs } from "./epochs.ts";
import { DOUBT_MS } from "./output-flow.ts";
import type { ShardParts } from "./shard-parts.ts";

const RETRY_MS = 500;

/** The meta row to go on with: the committed one, or a new one. Throws a TidemarkError or a DamagedRow when the shard must not go on. */
export async function recoverMeta(parts: ShardParts): Promise<Meta> {
  const { job, partition, identity, profile, log } = parts;
  const found = loadMeta(parts);
  const otherLog = found?.log !== undefined && found.log !== job.log ? found.log : undefined;
  if (otherLog !== undefined && profile === "production") {
    throw new TidemarkError(
      "CODE_UNAVAILABLE",
      `${job.name}/${partition}: the state was folded from the log ${otherLog}, not from ${job.log}.`,
    );
  }
  // Positions in another log say nothing here.
  const stored = otherLog === undefined ? found : undefined;
  if (stored !== undefined) {
    await checkLogEnd(parts, stored);
    await checkLastEntry(parts, stored);
  }
  const committed = stored === undefined ? {} : { committed: { epoch: stored.epoch, root: stored.epochRoot } };
  const mayBeginAnew = (): Promise<void> => refuseBesideAnother(parts);
  const generation = job.origin !== undefined;
  const standby = parts.role === "standby";
  const setting = { log: job.log, partition, job: job.name, identity, profile, mayBeginAnew, generation, standby, ...committed };
  const { plan } = await openEpochs(log, setting);
  const voidState = stored !== undefined && stored.epochRoot !== plan.root.sequence;
  if (voidState && profile === "production") {
    throw new TidemarkError(
      "CODE_UNAVAILABLE",
      `${job.name}/${partition}: the log begins this history at epoch entry ${plan.root.sequence}, the state at ${stored?.epochRoot ?? 0}.`,
    );
  }
  if (profile === "development") await clearVoid(parts, plan, voidState || otherLog !== undefined, otherLog);
  if (stored === undefined && plan.base !== undefined) {
    throw new TidemarkError(
      "SNAPSHOT_MISSING",
      `${job.name}/${partition} begins with the snapshot ${plan.base.snapshot}, and nothing of it was restored.`,
    );
  }
  const meta = stored === undefined || voidState ? newMeta(plan.root, plan.root.sequence, plan.from) : stored;
  const { firstSequence } = await log.bounds();
  if (firstSequence > meta.cursor.sequence) {
    throw new TidemarkError("LOG_TRIMMED", `${log.stream} begins at ${firstSequence}, the shard goes on at ${meta.cursor.sequence}.`);
  }
  return meta;
}

/**
 * Deletes what an earlier history left behind. What is void is read off the world, not remembered: state names its root, and a
 * stream that is older than the root's entry holds outputs of the history before. So a death on the way is made up for at the next
 * start, and a stream that another node has begun to fill with this history is left alone.
 */
async function clearVoid(parts: ShardParts, plan: EpochPlan, voidState: boolean, otherLog: string | undefined): Promise<void> {
  const { job, partition, outputs, role } = parts;
  // The stream is its owner's to clear.
  const older = role === "owner" && plan.begunAt !== undefined && (await outputs.createdAt()) < plan.begunAt;
  const voidOutputs = older || (role === "owner" && otherLog !== undefined);
  if (!voidState && !voidOutputs) return;
  if (voidOutputs) await refuseBesideAnother(parts);
  const why = otherLog === undefined ? "the code changed" : `it reads the log ${job.log} now, not ${otherLog}`;
  const what = voidOutputs ? "outputs and state are deleted" : "its state here is deleted";
  parts.notice(`${job.name}/${partition}: ${why}; ${what} and the log is folded again from its first entry`);
  if (voidOutputs) await parts.deleteOutputs();
  await parts.clearState();
}

/** Whoever folds the history that is to be void would lose its stream under its hands. */
async function refuseBesideAnother({ job, partition, otherOwner }: ShardParts): Promise<void> {
  const other = await otherOwner();
  if (other === undefined) return;
  throw new TidemarkError("OWNER_ACTIVE", `${job.name}/${partition}: node ${other} folds this shard now, with other code.`);
}

function loadMeta(parts: ShardParts): Meta | undefined {
  const row = undamaged(META_ROW, () => parts.store.get(META_ROW));
  if (row === undefined) return undefined;
  // Before anything is appended on the word of a row that says something else than was committed.
  if (row[0] === STATE_FORMAT) committedStateHash(parts.store, primitives);
  const meta = undamaged(META_ROW, () => readMeta(row));
  if (meta === undefined)
    throw new TidemarkError("STATE_FORMAT", `The state of ${parts.job.name}/${parts.partition} has format ${row[0]}.`);
  return meta;
}

/** LOG_TRUNCATED only when the log's end stays behind the state, for a new leader may answer too low for a moment. */
async function checkLogEnd(parts: ShardParts, meta: Meta): Promise<void> {
  const { clock, log } = parts;
  const doubtMs = parts.tuning?.doubtMs ?? DOUBT_MS;
  const since = clock.monotonic();
  for (let told = false; ; ) {
    const { lastSequence } = await log.bounds();
    if (lastSequence >= meta.last.sequence) return;
    if (clock.monotonic() - since >= doubtMs) {
      throw new TidemarkError("LOG_TRUNCATED", `${log.stream} ends at ${lastSequence}, the shard has folded ${meta.last.sequence}.`);
    }
    if (!told)
      parts.notice(
        `${log.stream} answers last sequence ${lastSequence}, the shard has folded ${meta.last.sequence}; waiting ${doubtMs} ms before believing it`,
      );
    told = true;
    await clock.sleep(Math.min(RETRY_MS, doubtMs));
  }
}

/**
 * A log that lost its tail and was filled again reaches behind the state and holds other entries there: the one at the state's position
 * was stored later than the state says that anything was. LOG_TRUNCATED at once, for that is no answer of a leader that lags.
 */
async function checkLastEntry({ log }: ShardParts, meta: Meta): Promise<void> {
  const { sequence } = meta.last;
  if (sequence === 0) return;
  const entry = await log.firstOn(">", sequence);
  // One that was erased or trimmed says nothing.
  if (entry?.sequence !== sequence || entry.logTime <= meta.processingTime) return;
  throw new TidemarkError(
    "LOG_TRUNCATED",
    `${log.stream} holds another entry at ${sequence} than the shard has folded: it was stored at ${formatInstant(entry.logTime)}, and nothing that was folded is newer than ${formatInstant(meta.processingTime)}.`,
  );
}
