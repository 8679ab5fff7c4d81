/**
 * Entry of the keeper thread: it takes the snapshots of a node's shards, lists and verifies them and clears away old
 * ones. It works with its own connection and its own look at each shard's file, so that no shard waits for it.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { systemClock } from "../clock.ts";
import { writeGenerationBase } from "../generations/generation-base.ts";
import type { BaseRequest } from "../generations/generation-begin.ts";
import { connectNats, type NatsAccess } from "../nats-connect.ts";
import { openLmdbStore } from "../store/lmdb-store.ts";
import { type Outcome, outcomeOf } from "../threads/outcome.ts";
import type { Thread } from "../threads/thread-call.ts";
import { type Cleared, clearGarbage, deleteAll, type GarbageOptions, type Lingering } from "./garbage.ts";
import { type JobManifest, jobSnapshotBlob, type ShardManifest, storedBytes } from "./manifest.ts";
import { openCatalogue, type SnapshotSettings } from "./open-catalogue.ts";
import { putManifest } from "./shard-snapshot.ts";
import { type ChangedSince, SnapshotTaker, type Taken, type TakeRequest } from "./snapshot-taker.ts";

export interface KeeperSetup {
  readonly nats: NatsAccess;
  readonly nodeId: string;
  readonly settings: SnapshotSettings;
  /** A folder of its own, for copies; what it holds is of no worth to anyone. */
  readonly scratch: string;
  /** One counter; raised with each sign of life. */
  readonly heartbeat: SharedArrayBuffer;
}

/** A manifest that cannot be read. */
export interface DamagedBlob {
  readonly name: string;
  readonly message: string;
}

/** The keeper as others see it. */
export type KeeperThread = Pick<Thread<SnapshotKeeper>, "call" | "ask"> & { readonly hasStarted: boolean };

export interface SnapshotKeeper {
  /** See {@link SnapshotTaker.take}. */
  take(request: TakeRequest, changedSince: ChangedSince, progress: (rows: number) => void): Promise<Outcome<Taken | undefined>>;
  /** Writes the manifest of a job's snapshot, which then counts. */
  seal(manifest: JobManifest): Promise<Outcome<void>>;
  list(job: string): Promise<Outcome<{ readonly snapshots: readonly JobManifest[]; readonly damaged: readonly DamagedBlob[] }>>;
  get(id: string): Promise<Outcome<{ readonly snapshot: JobManifest; readonly shards: readonly ShardManifest[] }>>;
  /** Restores every shard of it into nothing, and checks what comes. */
  verify(id: string, progress: (doneBytes: number, totalBytes: number) => void): Promise<Outcome<{ readonly bytes: number }>>;
  /** See {@link writeGenerationBase}. */
  writeBase(request: BaseRequest, progress: (rows: number) => void): Promise<Outcome<ShardManifest>>;
  /** Whatever lies under the name of a job that is no more: what lists it goes first. */
  deleteAll(job: string): Promise<Outcome<void>>;
  clear(job: string, options: GarbageOptions): Promise<Outcome<Cleared>>;
  /** Gives up what is being taken now. */
  giveUp(): void;
  /** Gives up what is being taken and lets go of the shards' files; of those that a place which does not answer holds up, not. */
  stop(): Promise<void>;
}

const BEAT_MS = 250;
const STOP_MS = 3_000;

const setup = workerData as KeeperSetup;
const heartbeat = new Int32Array(setup.heartbeat);
setInterval(() => Atomics.add(heartbeat, 0, 1), BEAT_MS);
rmSync(setup.scratch, { recursive: true, force: true });
mkdirSync(setup.scratch, { recursive: true });
const nc = await connectNats(setup.nats, `tidemark ${setup.nodeId} snapshots`);
const opened = openCatalogue(nc, setup.settings);
// Whoever asks first is told of its failure.
opened.catch(() => {});
const abort = new AbortController();
const lingering: Lingering = new Map();
let taker: SnapshotTaker | undefined;

const keeper: SnapshotKeeper = {
  take: (request, changedSince, progress) =>
    outcomeOf(async () => {
      try {
        const { catalogue, seal } = await opened;
        taker ??= new SnapshotTaker(catalogue, seal, setup.scratch, abort.signal);
        return await taker.take(request, changedSince, (rows) => void progress(rows));
      } finally {
        release(changedSince);
        release(progress);
      }
    }),
  seal: (manifest) =>
    outcomeOf(async () => {
      const { catalogue, seal } = await opened;
      await putManifest(catalogue.blobs, seal, jobSnapshotBlob(manifest.job, manifest.id), manifest);
    }),
  list: (job) =>
    outcomeOf(async () => {
      const damaged: DamagedBlob[] = [];
      const { catalogue } = await opened;
      const snapshots = await catalogue.ofJob(job, (name, error) => damaged.push({ name, message: error.message }));
      return { snapshots, damaged };
    }),
  get: (id) =>
    outcomeOf(async () => {
      const { catalogue } = await opened;
      const snapshot = await catalogue.job(id);
      return { snapshot, shards: await catalogue.shardsOf(snapshot) };
    }),
  verify: (id, progress) =>
    outcomeOf(async () => {
      try {
        return await verify(id, (done, total) => void progress(done, total));
      } finally {
        release(progress);
      }
    }),
  writeBase: (request, progress) =>
    outcomeOf(async () => {
      try {
        const { catalogue, seal } = await opened;
        const told = (rows: number): void => void progress(rows);
        const { signal } = abort;
        const options = { catalogue, seal, blobs: catalogue.blobs, clock: systemClock, share: 1, progress: told, signal };
        return await writeGenerationBase(request, { ...options, scratch: setup.scratch });
      } finally {
        release(progress);
      }
    }),
  deleteAll: (job) => outcomeOf(async () => await deleteAll((await opened).catalogue.blobs, job)),
  clear: (job, options) => outcomeOf(async () => await clearGarbage((await opened).catalogue, job, options, lingering)),
  giveUp: () => taker?.giveUp(),
  async stop() {
    abort.abort();
    await Promise.race([taker?.close(), systemClock.sleep(STOP_MS)]);
  },
};

/** A function of another thread keeps a port open until it is released. */
function release(remote: unknown): void {
  (remote as { readonly [Comlink.releaseProxy]?: () => void })[Comlink.releaseProxy]?.();
}

async function verify(id: string, progress: (doneBytes: number, totalBytes: number) => void): Promise<{ readonly bytes: number }> {
  const { catalogue } = await opened;
  const shards = await catalogue.shardsOf(await catalogue.job(id));
  const total = shards.reduce((sum, shard) => sum + storedBytes(shard), 0);
  let before = 0;
  for (const manifest of shards) {
    const folder = join(setup.scratch, `verify-${manifest.shard}`);
    rmSync(folder, { recursive: true, force: true });
    const store = openLmdbStore(folder);
    try {
      await catalogue.restore(manifest, store, { progress: (done) => progress(before + done, total), signal: abort.signal });
    } finally {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    }
    before += storedBytes(manifest);
  }
  return { bytes: total };
}

Comlink.expose(keeper, nodeEndpoint(parentPort!));
parentPort!.postMessage("ready");
