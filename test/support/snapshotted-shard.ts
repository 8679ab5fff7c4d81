/** A shard's fold over a real LMDB store with snapshots of it in a directory, driven by hand: every commit is a call. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { Fold } from "../../actors/fold/fold.ts";
import { newMeta } from "../../actors/fold/meta.ts";
import type { SealedGroup } from "../../actors/fold/sealed-group.ts";
import { primitives } from "../../runtime/primitives.ts";
import type { History } from "../../runtime/replay/fold-history.ts";
import { DirectoryBlobs } from "../../runtime/snapshots/blobs/directory-blobs.ts";
import { SnapshotCatalogue } from "../../runtime/snapshots/catalogue.ts";
import { type ChangeBounds, ChangedRows } from "../../runtime/snapshots/changed-rows.ts";
import { KeyRing } from "../../runtime/snapshots/key-ring.ts";
import { type JobManifest, jobSnapshotBlob, type ShardManifest, SNAPSHOT_FORMAT } from "../../runtime/snapshots/manifest.ts";
import { rowsChanged } from "../../runtime/snapshots/row-keys.ts";
import { putManifest } from "../../runtime/snapshots/shard-snapshot.ts";
import { SnapshotTaker, type Taken } from "../../runtime/snapshots/snapshot-taker.ts";
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";
import { committed, type Row, type ShardStore } from "../../runtime/store/shard-store.ts";

export class SnapshottedShard {
  readonly folder: string;
  readonly keys: KeyRing;
  readonly store: ShardStore;
  readonly catalogue: SnapshotCatalogue;
  readonly changed: ChangedRows;
  readonly taker: SnapshotTaker;
  /** Rows as of each commit, by state hash. */
  readonly commits = new Map<string, readonly Row[]>();
  readonly #fold: Fold;
  readonly #history: History;
  #entries: readonly LogEntry[];

  private constructor(history: History, folder: string, blobs: DirectoryBlobs, keys: KeyRing, bounds?: ChangeBounds) {
    const { job, partition, partitions, identity, epochRoot, from } = history;
    this.folder = folder;
    this.keys = keys;
    this.store = openLmdbStore(join(folder, "shard"));
    this.#history = history;
    this.#entries = history.entries;
    this.catalogue = new SnapshotCatalogue(blobs, keys);
    this.changed = new ChangedRows(undefined, bounds);
    this.taker = new SnapshotTaker(this.catalogue, keys, join(this.folder, "scratch"), new AbortController().signal);
    this.#fold = new Fold({
      job,
      partition,
      partitions,
      committed: this.store,
      meta: newMeta({ ...identity, sequence: epochRoot }, epochRoot, from),
      primitives,
      guard: { enter() {}, leave() {} },
      identity,
      skips: new Map(),
    });
  }

  static async open(
    history: History,
    options: { readonly keys?: KeyRing; readonly bounds?: ChangeBounds } = {},
  ): Promise<SnapshottedShard> {
    const keys = options.keys ?? (await KeyRing.read(undefined));
    const folder = mkdtempSync(join(tmpdir(), "tidemark-snapshotted-"));
    return new SnapshottedShard(history, folder, await DirectoryBlobs.open(join(folder, "blobs")), keys, options.bounds);
  }

  get left(): number {
    return this.#entries.length;
  }

  /** Folds so many units and commits what they came to. */
  async commit(units: number): Promise<SealedGroup> {
    const fold = this.#fold;
    for (let left = units; left > 0; left--) {
      const entry = this.#entries[0];
      if (!fold.inEntry) {
        if (entry === undefined) break;
        fold.open(entry);
      }
      if (!fold.unit()) this.#entries = this.#entries.slice(1);
    }
    fold.takeOutputs();
    const group = fold.seal();
    this.changed.note(group);
    await committed(this.store, group.changes);
    fold.committed();
    this.commits.set(group.stateHash, this.store.scan("\0", "\xff", 1_000_000));
    return group;
  }

  /** `meanwhile`: what the shard does between the first look and its answer. */
  async snapshot(meanwhile: () => Promise<unknown> = async () => {}): Promise<Taken | undefined> {
    const { job, partition: shard, partitions } = this.#history;
    const request = {
      shard: { job: job.name, log: job.log, shard, partitions, mapVersion: 1 },
      folder: join(this.folder, "shard"),
      share: 1,
    };
    const taken = await this.taker.take(
      request,
      async (since, at) => {
        await meanwhile();
        return rowsChanged(this.changed, since, at);
      },
      () => {},
    );
    if (taken?.written === true) this.changed.taken(taken.manifest.stateHash);
    return taken;
  }

  /** The job's snapshot that names a shard's, written beside it. */
  async name({ id, shard, log, partitions }: ShardManifest, takenAt = Date.now()): Promise<JobManifest> {
    const { job } = this.#history;
    const named: JobManifest = {
      format: SNAPSHOT_FORMAT,
      kind: "job",
      id: `${job.name}.${new Date(takenAt).toISOString().replace(/[-:.]/g, "")}`,
      job: job.name,
      log,
      partitions,
      takenAt,
      reason: "schedule",
      shards: [{ shard, snapshot: id }],
    };
    await putManifest(this.catalogue.blobs, this.keys, jobSnapshotBlob(job.name, named.id), named);
    return named;
  }

  /** The rows that a snapshot gives are those of its commit, every one. */
  async assertRestores({ manifest }: Taken): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "tidemark-restored-"));
    const store = openLmdbStore(folder);
    try {
      await this.catalogue.restore(manifest, store);
      assert.deepEqual(texts(store.scan("\0", "\xff", 1_000_000)), texts(this.commits.get(manifest.stateHash)!));
    } finally {
      await store.close();
      rmSync(folder, { recursive: true });
    }
  }

  async close(): Promise<void> {
    await this.taker.close();
    await this.store.close();
    await this.catalogue.blobs.close();
    rmSync(this.folder, { recursive: true });
  }
}

function texts(rows: readonly Row[]): string[] {
  return rows.map(({ key, value }) => `${Buffer.from(key, "latin1").toString("hex")} ${Buffer.from(value).toString("hex")}`);
}
