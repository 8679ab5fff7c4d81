/**
 * Blobs in a JetStream object store, as `tidemark-snapshots`, laid out as `nats object` reads it: chunks under
 * `$O.<bucket>.C.<object id>`, then one message about the object, its *head*, under `….M.<name>`.
 *
 * An object is there once its head is stored, and never before. A put that dies leaves chunks without a head: nobody sees
 * them, and {@link ObjectStoreBlobs.sweep} deletes them once they are older than any put may take. Heads and lists come
 * from the stream's leader: who collects garbage by a stale list deletes what is needed.
 */
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { jetstream } from "@nats-io/jetstream";
import { type ObjectStore, Objm, setSha256Backend } from "@nats-io/obj";
import type { NatsConnection } from "@nats-io/transport-node";
import { TidemarkError } from "../../errors.ts";
import { storedMessage } from "../../log/jetstream-api.ts";
import { BlobDamage, blobFailure } from "./blob-failure.ts";
import { BlobGate } from "./blob-gate.ts";
import { BLOB_MAX_BYTES, type BlobInfo, type BlobStore, byName, checkBlobName, checkBlobPrefix, checkBlobSize } from "./blob-store.ts";
import { openObjectBucket, SNAPSHOT_BUCKET, type SnapshotBucketSizes, streamOfBucket } from "./object-bucket.ts";
import { readObjectChunks } from "./object-chunks.ts";
import { chunkSubjects, deleteChunks, deleteHeads, type ObjectHead, objectNames, readObjectHead } from "./object-layout.ts";

/** Blobs on their way at a time, each up to {@link BLOB_MAX_BYTES}. */
const BLOBS_AT_A_TIME = 4;
const HEADS_AT_A_TIME = 16;
/** Larger ones make fewer acknowledgements to wait for; a server takes 1 MiB by default. */
const CHUNK_BYTES = 256 * 1024;
const CHUNK_TIMEOUT_MS = 5_000;
const PUT_TIMEOUT_MS = 60_000;
const TRIES = 3;
const BACKOFF_MS = 200;
/** Many times what a put may take, all its tries included. */
const ORPHAN_AFTER_MS = 60 * 60_000;
/** What one sweep deletes at most; the next one goes on. */
const SWEEP_MAX = 1_000;
const FULL = /maximum|exceeded|insufficient|no space/i;

export class ObjectStoreBlobs implements BlobStore {
  readonly place: string;
  readonly #nc: NatsConnection;
  readonly #bucket: string;
  readonly #objects: ObjectStore;
  readonly #blobs = new BlobGate(BLOBS_AT_A_TIME);
  readonly #heads = new BlobGate(HEADS_AT_A_TIME);
  #sweptAt = Number.NEGATIVE_INFINITY;
  #sweeping: Promise<unknown> = Promise.resolve();

  private constructor(nc: NatsConnection, bucket: string, objects: ObjectStore) {
    this.place = `JetStream object store ${bucket}`;
    this.#nc = nc;
    this.#bucket = bucket;
    this.#objects = objects;
  }

  /** Creates the bucket when it is missing. The connection stays the caller's. */
  static async open(nc: NatsConnection, sizes: SnapshotBucketSizes, bucket = SNAPSHOT_BUCKET): Promise<ObjectStoreBlobs> {
    // Its own hash, in JavaScript, takes longer than the way to the server.
    setSha256Backend("native");
    await openObjectBucket(nc, bucket, sizes);
    const objects = await new Objm(jetstream(nc, { checkAPI: false, timeout: CHUNK_TIMEOUT_MS })).open(bucket, false);
    return new ObjectStoreBlobs(nc, bucket, objects);
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    checkBlobName(name);
    checkBlobSize(name, bytes.length);
    this.#sweepNowAndThen();
    await this.#blobs.run(() => this.#tried(`"${name}" cannot be written`, () => this.#putOnce(name, bytes)));
  }

  async #putOnce(name: string, bytes: Uint8Array): Promise<void> {
    const meta = { name, options: { max_chunk_size: CHUNK_BYTES } };
    await this.#objects.put(meta, inPieces(bytes, performance.now() + PUT_TIMEOUT_MS), { timeout: CHUNK_TIMEOUT_MS });
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    checkBlobName(name);
    return await this.#blobs.run(() => this.#tried(`"${name}" cannot be read`, () => this.#getOnce(name)));
  }

  async #getOnce(name: string): Promise<Uint8Array | undefined> {
    const head = await readObjectHead(this.#nc, this.#bucket, name);
    if (head === undefined || head.state === "deleted") return undefined;
    if (head.state === "damaged") throw new BlobDamage("what the bucket says of it is damaged");
    if (head.bytes > BLOB_MAX_BYTES) throw new Error(`it says that it has ${head.bytes} bytes`);
    const bytes =
      head.bytes === 0 ? Buffer.alloc(0) : await readObjectChunks(this.#nc, streamOfBucket(this.#bucket), head.chunks, head.bytes + 1);
    const digest = createHash("sha256").update(bytes).digest("base64url");
    // Also when it was replaced while it was read, or a replica is behind: the next try shows.
    if (bytes.length !== head.bytes || digest !== head.digest) {
      throw new BlobDamage(`it is damaged, ${bytes.length} bytes that are not the ${head.bytes} written`);
    }
    return bytes;
  }

  async list(prefix: string): Promise<readonly BlobInfo[]> {
    checkBlobPrefix(prefix);
    return await this.#tried(`names that begin with "${prefix}" cannot be listed`, async () => {
      const names = (await objectNames(this.#nc, this.#bucket)).filter((name) => name.startsWith(prefix));
      const heads = await this.#readHeads(names);
      // A damaged one is listed too: else nobody would ever delete it.
      const there = names.flatMap((name, i) => (isThere(heads[i]) ? [{ name, bytes: heads[i].bytes }] : []));
      return there.sort(byName);
    });
  }

  #readHeads(names: readonly string[]): Promise<(ObjectHead | undefined)[]> {
    return Promise.all(names.map((name) => this.#heads.run(() => readObjectHead(this.#nc, this.#bucket, name))));
  }

  /** Without the marker that the client's own delete leaves for each name: names of snapshots never come back. */
  async delete(name: string): Promise<void> {
    checkBlobName(name);
    await this.#heads.run(() =>
      this.#tried(`"${name}" cannot be deleted`, async () => {
        const head = await readObjectHead(this.#nc, this.#bucket, name);
        if (head === undefined) return;
        // The head first: chunks without one are swept, a head without chunks would be a damaged blob.
        await deleteHeads(this.#nc, this.#bucket, name, head.sequence);
        if (head.chunks !== "") await deleteChunks(this.#nc, this.#bucket, head.chunks);
      }),
    );
  }

  async close(): Promise<void> {
    await this.#sweeping;
  }

  /**
   * Deletes chunks that no head names and whose last one was stored over `olderThanMs` ago by the server's clock; gives how
   * many objects they were of. Runs by itself: with the first put and then at most every hour.
   */
  async sweep(olderThanMs = ORPHAN_AFTER_MS): Promise<number> {
    // Chunks are listed before heads, so that a put that ends in between is seen whole.
    const { chunks, now } = await chunkSubjects(this.#nc, this.#bucket);
    if (chunks.length === 0) return 0;
    const heads = await this.#readHeads(await objectNames(this.#nc, this.#bucket));
    const named = new Set(heads.map((head) => (isThere(head) ? head.chunks : "")));
    let swept = 0;
    for (const subject of chunks) {
      if (swept === SWEEP_MAX) break;
      if (named.has(subject)) continue;
      const last = await storedMessage(this.#nc, streamOfBucket(this.#bucket), { last_by_subj: subject });
      if (last === undefined || !(now - last.logTime >= olderThanMs)) continue;
      await deleteChunks(this.#nc, this.#bucket, subject);
      swept += 1;
    }
    return swept;
  }

  #sweepNowAndThen(): void {
    if (performance.now() - this.#sweptAt < ORPHAN_AFTER_MS) return;
    this.#sweptAt = performance.now();
    // A sweep that fails costs room until the next one.
    this.#sweeping = this.sweep().catch(() => 0);
  }

  get #fullAdvice(): string {
    const keep = this.#bucket === SNAPSHOT_BUCKET ? "keep snapshots for a shorter time" : "trim the logs";
    return `Raise max_bytes of the stream ${streamOfBucket(this.#bucket)} ("nats stream edit") or the server's storage, or ${keep}.`;
  }

  /** Again after a failure that may pass. */
  async #tried<T>(what: string, work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        const full = error instanceof Error && FULL.test(error.message);
        const last = full || attempt === TRIES || this.#nc.isClosed() || error instanceof TidemarkError;
        if (last) throw blobFailure(this.place, what, error, full ? this.#fullAdvice : undefined);
        await delay(BACKOFF_MS * 4 ** (attempt - 1));
      }
    }
  }
}

function isThere(head: ObjectHead | undefined): head is ObjectHead {
  return head !== undefined && head.state !== "deleted";
}

/** In pieces of one chunk, so that a put that takes too long ends between two of them, and the client cleans up. */
function inPieces(bytes: Uint8Array, until: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (performance.now() > until) controller.error(new Error(`not done after ${PUT_TIMEOUT_MS / 1_000} s`));
      else if (at >= bytes.length) controller.close();
      else {
        controller.enqueue(bytes.subarray(at, at + CHUNK_BYTES));
        at += CHUNK_BYTES;
      }
    },
  });
}
