/**
 * Entry of the process that proves a shard: loads the app, guards armed, copies the shard's rows as of one commit, and folds
 * beside them in an environment of its own.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { META_ROW } from "../../actors/fold/keys.ts";
import { readMeta, STATE_FORMAT } from "../../actors/fold/meta.ts";
import { withSettings } from "../../actors/model/job.ts";
import { type App, identityOf, loadApp } from "../app.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { jobNamed } from "../generations/generation-record.ts";
import { connectNats } from "../nats-connect.ts";
import { OutputReader } from "../outputs/output-reader.ts";
import { wholeLogOf } from "../results/whole-log.ts";
import { readEpochPlan } from "../shard/epochs.ts";
import { installGuards } from "../shard/guards.ts";
import { SkipList } from "../shard/skips.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import { openCatalogue, resultPlace } from "../snapshots/open-catalogue.ts";
import type { SnapshotSource } from "../snapshots/snapshot-source.ts";
import { openLmdbReader, openLmdbStore } from "../store/lmdb-store.ts";
import { taskApart, tell } from "./apart.ts";
import { prove } from "./proof.ts";
import { PublishedOutputs } from "./published-outputs.ts";
import type { BuildVerdict, FromVerify, VerifyTask } from "./verify-task.ts";

const WORKING: FromVerify = { kind: "working" };
const LOOK_MS = 5_000;

interface Base {
  readonly manifest?: ShardManifest | undefined;
  /** Those behind it, in their order. */
  readonly later: readonly ShardManifest[];
  readonly remarks: readonly string[];
}

async function verify(task: VerifyTask, app: App, nc: NatsConnection): Promise<BuildVerdict> {
  const { job: name, shard, partitions, folder, scratch, before } = task;
  const declared = jobNamed(app.jobs, name);
  if (declared === undefined) throw new TidemarkError("CODE_UNAVAILABLE", `This build has no job "${name}".`);
  const job = withSettings(declared, task.settings);
  const log = wholeLogOf(nc, job, shard, resultPlace(nc, task.snapshots));
  const { catalogue } = await openCatalogue(nc, task.snapshots);
  const { firstSequence } = await log.bounds();
  // Before the copy: so none of them is ahead of it.
  const found = await snapshotsOf(catalogue, task);
  const copy = join(scratch, "copy");
  // One state is proven, by however many builds.
  if (before === undefined) await copied(folder, copy);
  const actual = openLmdbReader(copy);
  const store = openLmdbStore(join(scratch, "fold"));
  try {
    const row = actual.get(META_ROW);
    if (row === undefined) return nothingFolded(task);
    const root = readMeta(row)?.epochRoot;
    const base =
      before === undefined ? chooseBase(found, task, root, firstSequence, app.codeHash) : { ...found, later: ofRoot(found, root) };
    if (before === undefined && base.manifest !== undefined)
      await catalogue.restore(base.manifest, store, { progress: () => void tell(WORKING) });
    return await prove({
      job,
      partition: shard,
      partitions,
      identity: identityOf(job, app.codeHash),
      log,
      store,
      begin: () => readEpochPlan(log, job.log, shard, job.name),
      skips: await new SkipList(nc, job.name, shard).read(),
      guard: installGuards(),
      actual,
      outputs: new PublishedOutputs(new OutputReader(await jetstreamManager(nc, { checkAPI: false })), name, shard),
      snapshots: task.copyFrom === undefined ? base.later : [],
      copyOnly: task.copyFrom !== undefined,
      from: before?.from ?? (base.manifest === undefined ? "start" : `snapshot ${base.manifest.id}`),
      remarks: base.remarks,
      before,
      progress: (entries, total) => void tell({ kind: "folded", entries, total } satisfies FromVerify),
    });
  } finally {
    await store.close();
    await actual.close();
  }
}

interface Snapshots {
  /** The oldest first. */
  readonly ordered: readonly ShardManifest[];
  readonly remarks: readonly string[];
}

async function snapshotsOf(source: SnapshotSource, { job, shard, partitions }: VerifyTask): Promise<Snapshots> {
  const remarks: string[] = [];
  const found = await source.ofShard(job, shard, (name, error) => remarks.push(`the manifest ${name} cannot be read: ${error.message}`));
  await tell(WORKING);
  const ordered = [...found].reverse().filter((manifest) => manifest.stateFormat === STATE_FORMAT && manifest.partitions === partitions);
  return { ordered, remarks };
}

/** It tells that it gets on for as long as the copy grows, and no longer: damaged pages may send it in a circle. */
async function copied(folder: string, copy: string): Promise<void> {
  const live = openLmdbReader(folder);
  let size = 0;
  const look = setInterval(() => {
    const now = statSync(join(copy, "data.mdb"), { throwIfNoEntry: false })?.size ?? 0;
    if (now > size) void tell(WORKING);
    size = now;
  }, LOOK_MS);
  try {
    await live.copyTo(copy);
  } finally {
    clearInterval(look);
    await live.close();
  }
  await tell(WORKING);
}

/** Snapshots of another root are of a history that was made void. */
function ofRoot({ ordered }: Snapshots, root: number | undefined): readonly ShardManifest[] {
  return ordered.filter(({ epochRoot }) => epochRoot === root);
}

function chooseBase(
  found: Snapshots,
  { job, shard, from, copyFrom }: VerifyTask,
  root: number | undefined,
  firstStored: number,
  codeHash: string,
): Base {
  const { remarks } = found;
  const ordered = ofRoot(found, root);
  if (from === "start") return { manifest: undefined, later: ordered, remarks };
  const leadsOn = ({ cursor, epoch }: ShardManifest): boolean => cursor.sequence >= firstStored && epoch.codeHash === codeHash;
  const agreed = ordered.findLastIndex((manifest) => leadsOn(manifest) && manifest.cursor.sequence <= (copyFrom ?? 0));
  if (copyFrom !== undefined && agreed === -1) {
    // A later one may hold what the owner did wrong.
    if (root !== undefined && root >= firstStored) return { manifest: undefined, later: ordered, remarks };
    throw new TidemarkError("HISTORY_TRIMMED", `${job}/${shard}: no snapshot up to entry ${copyFrom} leads on, and the log begins behind.`);
  }
  const oldest = agreed === -1 ? ordered.findIndex(leadsOn) : agreed;
  const at = from === undefined ? oldest : ordered.findIndex(({ id }) => id === from);
  if (from !== undefined && at === -1) throw new TidemarkError("SNAPSHOT_MISSING", `${job}/${shard} has no snapshot "${from}".`);
  return { manifest: ordered[at], later: ordered.slice(at + 1), remarks };
}

function nothingFolded({ job, shard }: VerifyTask): BuildVerdict {
  const none = { from: "start", entries: 0, outputs: 0, snapshots: 0, marks: 0, position: null, stateHash: null, difference: null };
  return { job, shard, ok: true, ...none, after: none.from, unreadable: [], remarks: ["nothing was committed yet"] };
}

const task = await taskApart<VerifyTask>();
try {
  if (!existsSync(join(task.folder, "data.mdb"))) await tell({ kind: "verdict", verdict: nothingFolded(task) } satisfies FromVerify);
  else {
    const app = await loadApp(task.app);
    if (app.codeHash !== task.codeHash) throw new TidemarkError("APP_INVALID", `${task.app} changed while the node ran.`);
    const nc = await connectNats(task.nats, "tidemark verify");
    await tell({ kind: "verdict", verdict: await verify(task, app, nc) } satisfies FromVerify);
    await nc.close();
  }
} catch (error) {
  if (!isTidemarkError(error)) throw error;
  await tell({ kind: "failed", error: error.toRecord() } satisfies FromVerify);
}
process.exit(0);
