/**
 * A KV bucket as one node sees it: the newest revision of each key, and when it came here by this node's own clock. A
 * record that its writer renews is over when no new revision has come for a while; no clock of another machine counts.
 *
 * What is seen here may be old, as while NATS is away: whoever acts on it writes with the revision that it has seen, and
 * is refused when there is a newer one.
 */
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "../clock.ts";
import { messageOf } from "../log/jetstream-api.ts";
import { RecordBucket } from "../log/record-bucket.ts";
import type { Replication } from "../log/replication.ts";

export interface Seen<T> {
  /** `undefined` when it is gone. */
  readonly record: T | undefined;
  readonly revision: number;
  /** Milliseconds of this process's clock. */
  readonly at: number;
  /** When it was first seen as it is, renewals aside. */
  readonly changedAt: number;
}

export interface WatchedOptions<T> {
  readonly nc: NatsConnection;
  readonly name: string;
  readonly replication: Replication;
  readonly clock: Clock;
  /** `undefined` for what another version wrote and this one cannot read: it counts as gone. */
  readonly read: (json: unknown) => T | undefined;
  /** What of a record is news, beside that it was renewed. */
  readonly newsOf: (record: T) => string;
  readonly notice: (message: string) => void;
}

const AGAIN_MS = 500;

export class WatchedBucket<T extends object> {
  readonly records: RecordBucket;
  /** Called behind each change that is seen, renewals aside. */
  onChange: () => void = () => {};
  readonly #options: WatchedOptions<T>;
  readonly #seen = new Map<string, Seen<T>>();
  readonly #abort = new AbortController();
  #endWatch: () => void = () => {};
  #run: Promise<void> = Promise.resolve();

  private constructor(options: WatchedOptions<T>, records: RecordBucket) {
    this.#options = options;
    this.records = records;
  }

  /** Resolves when all that the bucket has now was seen. Fails with NATS_UNREACHABLE. */
  static async open<T extends object>(options: WatchedOptions<T>): Promise<WatchedBucket<T>> {
    const bucket = new WatchedBucket(options, await RecordBucket.open(options.nc, options.name, options.replication));
    const keys = await bucket.records.keys("");
    await Promise.all(keys.map((key) => bucket.refresh(key)));
    bucket.#run = bucket.#watch();
    return bucket;
  }

  get(key: string): Seen<T> | undefined {
    return this.#seen.get(key);
  }

  entries(): Iterable<readonly [string, Seen<T>]> {
    return this.#seen;
  }

  /** Of those that were seen at `revision` (0: never): writes, and counts as seen at once. Fails with LOG_CONFLICT behind another writer. */
  async write(key: string, record: T, revision: number): Promise<void> {
    this.#see(key, record, await this.records.write(key, record, revision));
  }

  /** Asks for what stands there now. Fails with NATS_UNREACHABLE. */
  async refresh(key: string): Promise<void> {
    const { payload, revision } = await this.records.read(key);
    this.#note(key, payload, revision);
  }

  async delete(key: string, revision: number): Promise<void> {
    this.#see(key, undefined, await this.records.delete(key, revision));
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#endWatch();
    await this.#run;
  }

  async #watch(): Promise<void> {
    const { nc, name, clock, notice } = this.#options;
    const { signal } = this.#abort;
    for (let told = ""; !signal.aborted; ) {
      try {
        const kv = await new Kvm(jetstream(nc, { checkAPI: false })).open(name);
        const watch = await kv.watch();
        this.#endWatch = () => watch.stop();
        if (signal.aborted) watch.stop();
        for await (const { key, value, revision, operation } of watch) this.#note(key, operation === "PUT" ? value : undefined, revision);
        told = "";
      } catch (error) {
        const message = messageOf(error);
        if (!signal.aborted && message !== told) notice(`the bucket ${name} is not seen: ${message}`);
        told = message;
      }
      await clock.sleep(AGAIN_MS, signal);
    }
  }

  #note(key: string, payload: Uint8Array | undefined, revision: number): void {
    const known = this.#seen.get(key);
    if (known !== undefined && known.revision >= revision) return;
    if (this.#see(key, payload === undefined ? undefined : this.#read(payload), revision)) this.onChange();
  }

  /** Whether it is news. */
  #see(key: string, record: T | undefined, revision: number): boolean {
    const known = this.#seen.get(key);
    if (known !== undefined && known.revision >= revision) return false;
    const at = this.#options.clock.monotonic();
    const { newsOf } = this.#options;
    const same = known?.record !== undefined && record !== undefined && newsOf(known.record) === newsOf(record);
    this.#seen.set(key, { record, revision, at, changedAt: same ? known.changedAt : at });
    return !same;
  }

  #read(payload: Uint8Array): T | undefined {
    try {
      return this.#options.read(JSON.parse(Buffer.from(payload).toString()));
    } catch {
      return undefined;
    }
  }
}
