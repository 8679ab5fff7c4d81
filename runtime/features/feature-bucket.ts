/**
 * The KV bucket `tidemark-features`: entries of features, whose job a feature is, and how far each shard's sink has come. Entries are
 * written with compare-and-set and leave when their time is over; the other two stay.
 *
 * Everything is asked of the leader. A deleted or expired key reads as empty, at the revision of its marker.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { askStream, type StreamConfig, storedMessage } from "../log/jetstream-api.ts";
import { appendAcknowledged } from "../log/publish-ack.ts";
import { ensureBucket } from "../log/record-bucket.ts";
import type { Replication } from "../log/replication.ts";
import { ownerKey, placeKey } from "./feature-key.ts";

export const FEATURE_BUCKET = "tidemark-features";
const STREAM = `KV_${FEATURE_BUCKET}`;
/** How long a reader who watches can still see that a key expired. */
const MARKER_TTL_MS = 60_000;

export interface BucketSizes extends Replication {
  readonly maxBytes: number;
}

export interface BucketEntry {
  /** 0 when the key was never written, or nothing is left of it. */
  readonly revision: number;
  readonly payload: Uint8Array | undefined;
}

/** How far a sink has come in the output stream that was created at `history`. */
export interface SinkPlace {
  readonly history: string;
  readonly k: number;
}

export class FeatureBucket {
  readonly #nc: NatsConnection;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  /** Creates the bucket when it is missing. Fails with FEATURES_LAYOUT when one is there whose messages cannot expire one by one. */
  static async open(nc: NatsConnection, sizes: BucketSizes): Promise<FeatureBucket> {
    await ensureBucket(nc, FEATURE_BUCKET, sizes, { max_bytes: sizes.maxBytes, markerTTL: MARKER_TTL_MS });
    const { config } = await askStream<{ readonly config: StreamConfig & { readonly allow_msg_ttl?: boolean } }>(
      nc,
      STREAM,
      `STREAM.INFO.${STREAM}`,
      undefined,
    );
    if (config.allow_msg_ttl !== true) throw new TidemarkError("FEATURES_LAYOUT", `Stream ${STREAM}: allow_msg_ttl is false.`);
    return new FeatureBucket(nc);
  }

  async read(key: string): Promise<BucketEntry> {
    const message = await storedMessage(this.#nc, STREAM, { last_by_subj: subjectOf(key) });
    if (message === undefined) return { revision: 0, payload: undefined };
    const { sequence, headers, payload } = message;
    const gone = headers?.has("kv-operation") === true || headers?.has("nats-marker-reason") === true;
    return { revision: sequence, payload: gone ? undefined : payload };
  }

  /** Gives the new revision. Fails with LOG_CONFLICT when the key is not at `revision` any more. */
  async write(key: string, payload: Uint8Array, revision: number, ttlSeconds: number): Promise<number> {
    const headers = new Map([["Nats-TTL", `${ttlSeconds}s`]]);
    return await appendAcknowledged(this.#nc, subjectOf(key), payload, { stream: STREAM, headers, expectedLastSubjectSequence: revision });
  }

  /** Makes the feature the job's where it is nobody's yet, or of one that has `gone`. Fails with FEATURE_TAKEN when it is another's. */
  async claim(feature: string, job: string, gone: (owner: string) => Promise<boolean>): Promise<void> {
    const key = ownerKey(feature);
    for (;;) {
      const { revision, payload } = await this.read(key);
      const owner = payload === undefined ? undefined : Buffer.from(payload).toString();
      if (owner === job) return;
      if (owner !== undefined && !(await gone(owner)))
        throw new TidemarkError(
          "FEATURE_TAKEN",
          `The feature "${feature}" is of the job "${owner.slice(0, 64)}", says the key ${key} of ${FEATURE_BUCKET}.`,
        );
      try {
        await appendAcknowledged(this.#nc, subjectOf(key), Buffer.from(job), { stream: STREAM, expectedLastSubjectSequence: revision });
      } catch (error) {
        // Another shard of the job, or another job, was quicker.
        if (!isTidemarkError(error, "LOG_CONFLICT")) throw error;
      }
    }
  }

  /** `undefined` when there is none, or it cannot be read. */
  async place(job: string, shard: number): Promise<SinkPlace | undefined> {
    const { payload } = await this.read(placeKey(job, shard));
    if (payload === undefined) return undefined;
    try {
      const { history, k } = JSON.parse(Buffer.from(payload).toString()) as Partial<SinkPlace>;
      return typeof history === "string" && Number.isSafeInteger(k) && k! >= 0 ? { history, k: k! } : undefined;
    } catch {
      return undefined;
    }
  }

  async savePlace(job: string, shard: number, { history, k }: SinkPlace): Promise<void> {
    await appendAcknowledged(this.#nc, subjectOf(placeKey(job, shard)), Buffer.from(JSON.stringify({ history, k })), { stream: STREAM });
  }
}

function subjectOf(key: string): string {
  return `$KV.${FEATURE_BUCKET}.${key}`;
}
