/**
 * Takes snapshots of shards, one after the other: parent, look, list of changed rows, rows, manifest. It lives in the
 * keeper's thread; the shard itself, in another one, only says which rows changed.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { STATE_FORMAT } from "../../actors/fold/meta.ts";
import { systemClock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import { openLmdbReader, type StoreReader } from "../store/lmdb-store.ts";
import type { SnapshotCatalogue } from "./catalogue.ts";
import type { Seal } from "./chunk-writer.ts";
import { type ShardManifest, shardManifestBlob } from "./manifest.ts";
import { type RowsChanged, unpackKeys } from "./row-keys.ts";
import { type Committed, ShardCopy, ShardView } from "./shard-look.ts";
import { type SnapshotShard, type WriteOptions, writeBase, writeDelta } from "./shard-snapshot.ts";

/**
 * Asks the shard which rows may differ between the snapshot with the state hash `since` and the commit with `at`.
 */
export type ChangedSince = (since: string | undefined, at: string) => Promise<RowsChanged>;

export interface TakeRequest {
  readonly shard: SnapshotShard;
  /** Of its LMDB environment. */
  readonly folder: string;
  /** See {@link WriteOptions.share}. */
  readonly share: number;
}

export interface Taken {
  readonly manifest: ShardManifest;
  /** False when the newest one is of this very state already. */
  readonly written: boolean;
}

/** A commit that the shard has forgotten already is given up for a newer one so often. */
const LOOKS_MAX = 10;
const LOOK_AGAIN_MS = 20;

export class SnapshotTaker {
  readonly #catalogue: SnapshotCatalogue;
  readonly #seal: Seal;
  readonly #scratch: string;
  readonly #ended: AbortSignal;
  #given = new AbortController();
  #taking: Promise<unknown> = Promise.resolve();
  readonly #stores = new Map<string, StoreReader>();
  /** The newest snapshot of each shard, as far as this thread has taken it. */
  readonly #newest = new Map<string, ShardManifest>();

  /** `signal`: aborted when the thread ends. `scratch`: a folder for copies. */
  constructor(catalogue: SnapshotCatalogue, seal: Seal, scratch: string, signal: AbortSignal) {
    this.#ended = signal;
    this.#catalogue = catalogue;
    this.#seal = seal;
    this.#scratch = scratch;
  }

  /** `undefined` when the shard has committed nothing yet. Throws SNAPSHOT_STORE, SNAPSHOT_DAMAGED or STATE_FORMAT. */
  take(request: TakeRequest, changedSince: ChangedSince, progress: (rows: number) => void): Promise<Taken | undefined> {
    this.#given = new AbortController();
    const taking = this.#take(request, changedSince, progress);
    this.#taking = taking.catch(() => {});
    return taking;
  }

  /** Gives up what is being taken now. */
  giveUp(): void {
    this.#given.abort();
  }

  /** Behind the abort: lets go of the shards' files. */
  async close(): Promise<void> {
    await this.#taking;
    for (const store of this.#stores.values()) await store.close();
    this.#stores.clear();
  }

  async #take(request: TakeRequest, changedSince: ChangedSince, progress: (rows: number) => void): Promise<Taken | undefined> {
    const store = this.#storeOf(request.folder);
    if (store === undefined) return undefined;
    const name = `${request.shard.job}/${request.shard.shard}`;
    const options: WriteOptions = {
      blobs: this.#catalogue.blobs,
      seal: this.#seal,
      clock: systemClock,
      share: request.share,
      progress,
      signal: AbortSignal.any([this.#ended, this.#given.signal]),
    };
    const found = await this.#byDelta(store, request, changedSince, options);
    const taken = found === "base" ? await this.#byBase(store, request, changedSince, options) : found;
    if (taken?.written === true) await this.#checkGround(taken.manifest);
    if (taken !== undefined) this.#newest.set(name, taken.manifest);
    return taken;
  }

  async #byDelta(
    store: StoreReader,
    { shard, folder }: TakeRequest,
    changedSince: ChangedSince,
    options: WriteOptions,
  ): Promise<Taken | "base" | undefined> {
    for (let look = 0; look < LOOKS_MAX; look++) {
      const view = new ShardView(store, folder);
      try {
        const { committed } = view;
        if (committed === undefined) return undefined;
        const parent = await this.#parentOf(shard, committed);
        if (parent?.stateHash === committed.stateHash) return { manifest: parent, written: false };
        if (parent === undefined) return "base";
        const { list, keys } = await changedSince(parent.stateHash, committed.stateHash);
        if (list === "unknown") return "base";
        if (list === "known" && keys !== undefined) {
          const manifest = await writeDelta(view, shard, parent, unpackKeys(keys), options);
          return manifest === undefined ? "base" : { manifest, written: true };
        }
      } finally {
        view.end();
      }
      await systemClock.sleep(LOOK_AGAIN_MS);
    }
    return "base";
  }

  async #byBase(store: StoreReader, { shard }: TakeRequest, changedSince: ChangedSince, options: WriteOptions): Promise<Taken | undefined> {
    const copy = await ShardCopy.make(store, join(this.#scratch, `${shard.job}-${shard.shard}`));
    try {
      if (copy.committed === undefined) return undefined;
      // So that the list of changed rows begins here; without it the next one is a base too.
      await changedSince(undefined, copy.committed.stateHash);
      return { manifest: await writeBase(copy, shard, options), written: true };
    } finally {
      await copy.end();
    }
  }

  /** What a delta stands on may have been cleared away by another node that did not know of it: then it does not count. */
  async #checkGround(manifest: ShardManifest): Promise<void> {
    for (const { snapshot } of manifest.parts) {
      if (snapshot === manifest.id || (await this.#isThere(manifest, snapshot))) continue;
      this.#newest.delete(`${manifest.job}/${manifest.shard}`);
      await this.#catalogue.blobs.delete(shardManifestBlob(manifest.job, manifest.shard, manifest.id));
      throw new TidemarkError(
        "SNAPSHOT_MISSING",
        `The snapshot ${snapshot} of ${manifest.job}/${manifest.shard} was cleared away while one was taken that stands on it.`,
      );
    }
  }

  async #isThere({ job, shard }: ShardManifest, snapshot: string): Promise<boolean> {
    return (await this.#catalogue.blobs.get(shardManifestBlob(job, shard, snapshot))) !== undefined;
  }

  /** The newest snapshot of the same history, when its rows can be gone on from. */
  async #parentOf(shard: SnapshotShard, { meta }: Committed): Promise<ShardManifest | undefined> {
    const known = this.#newest.get(`${shard.job}/${shard.shard}`);
    const isThere = known !== undefined && (await this.#isThere(known, known.id));
    const newest = isThere ? known : (await this.#catalogue.ofShard(shard.job, shard.shard))[0];
    const follows =
      newest !== undefined &&
      newest.log === shard.log &&
      newest.epochRoot === meta.epochRoot &&
      newest.stateFormat === STATE_FORMAT &&
      newest.partitions === shard.partitions &&
      newest.cursor.sequence <= meta.cursor.sequence;
    return follows ? newest : undefined;
  }

  #storeOf(folder: string): StoreReader | undefined {
    let store = this.#stores.get(folder);
    if (store === undefined && existsSync(join(folder, "data.mdb"))) {
      store = openLmdbReader(folder);
      this.#stores.set(folder, store);
    }
    return store;
  }
}
