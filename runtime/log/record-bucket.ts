/**
 * Records in a KV bucket, one under each key. Everything is asked of its leader, and written with compare-and-set: of two
 * who change a record at once one is refused.
 */
import { JetStreamApiError, jetstream } from "@nats-io/jetstream";
import { Kvm, type KvOptions } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { TidemarkError } from "../errors.ts";
import { askStream, messageOf, refusalOf, storedMessage, streamInfo } from "./jetstream-api.ts";
import { appendAcknowledged } from "./publish-ack.ts";
import { bucketReplication, type Replication } from "./replication.ts";

/** Creates the bucket when it is missing; one that is there keeps its own. Fails with NATS_UNREACHABLE, NATS_REPLICAS or NATS_STORAGE. */
export async function ensureBucket(
  nc: NatsConnection,
  name: string,
  replication: Replication,
  limits: Pick<Partial<KvOptions>, "max_bytes" | "markerTTL"> = {},
): Promise<void> {
  try {
    await new Kvm(jetstream(nc, { checkAPI: false })).create(name, { history: 1, ...limits, ...bucketReplication(replication) });
  } catch (error) {
    if (error instanceof JetStreamApiError) throw refusalOf(error.apiError(), `KV_${name}`);
    throw new TidemarkError("NATS_UNREACHABLE", `The bucket ${name} cannot be opened: ${messageOf(error)}.`, { cause: error });
  }
}

/** What stands under a key. */
export interface StoredPayload {
  /** `undefined` when it was never written, or is gone. */
  readonly payload: Uint8Array | undefined;
  /** 0 when it was never written; that of the marker when it is gone. */
  readonly revision: number;
  /** When it was written, or deleted; `undefined` when never. Milliseconds. */
  readonly at: number | undefined;
}

export class RecordBucket {
  readonly #nc: NatsConnection;
  readonly #stream: string;
  readonly #prefix: string;

  constructor(nc: NatsConnection, name: string) {
    this.#nc = nc;
    this.#stream = `KV_${name}`;
    this.#prefix = `$KV.${name}.`;
  }

  /** See {@link ensureBucket}. */
  static async open(nc: NatsConnection, name: string, replication: Replication): Promise<RecordBucket> {
    await ensureBucket(nc, name, replication);
    return new RecordBucket(nc, name);
  }

  /** Changes whenever anything in the bucket does. */
  async revision(): Promise<number> {
    return (await streamInfo(this.#nc, this.#stream)).state.last_seq;
  }

  async read(key: string): Promise<StoredPayload> {
    const message = await storedMessage(this.#nc, this.#stream, { last_by_subj: this.#prefix + key });
    if (message === undefined) return { payload: undefined, revision: 0, at: undefined };
    const { sequence: revision, headers, payload, logTime: at } = message;
    return { payload: headers?.has("kv-operation") === true ? undefined : payload, revision, at };
  }

  /** Gives the new revision. Fails with LOG_CONFLICT when the key is not at `revision` any more; 0: it was never written. */
  async write(key: string, record: object, revision: number): Promise<number> {
    const request = { stream: this.#stream, expectedLastSubjectSequence: revision };
    return await appendAcknowledged(this.#nc, this.#prefix + key, Buffer.from(JSON.stringify(record)), request);
  }

  /** Gives the revision of the marker. Fails as `write` does. */
  async delete(key: string, revision: number): Promise<number> {
    const headers = new Map([["KV-Operation", "DEL"]]);
    const request = { stream: this.#stream, headers, expectedLastSubjectSequence: revision };
    return await appendAcknowledged(this.#nc, this.#prefix + key, new Uint8Array(0), request);
  }

  /** Keys behind `prefix` and a dot, all for an empty one, sorted, those of deleted records among them. */
  async keys(prefix: string): Promise<string[]> {
    const filter = { subjects_filter: this.#prefix + (prefix === "" ? ">" : `${prefix}.>`) };
    const { state } = await askStream<{ readonly state: { readonly subjects?: Readonly<Record<string, number>> } }>(
      this.#nc,
      this.#stream,
      `STREAM.INFO.${this.#stream}`,
      filter,
    );
    const subjects = Object.keys(state.subjects ?? {}).sort();
    return subjects.map((subject) => subject.slice(this.#prefix.length));
  }
}
