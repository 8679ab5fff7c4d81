/** Who is in the cluster, and what this node says of itself: a record in `tidemark-nodes`, renewed as long as it lives. */
import type { Clock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { Member } from "./assignment.ts";
import type { ClusterJob } from "./cluster.ts";
import { type NodeRecord, RECORD_FORMAT } from "./records.ts";
import type { WatchedBucket } from "./watched-bucket.ts";

export interface MembersOptions {
  readonly bucket: WatchedBucket<NodeRecord>;
  readonly node: string;
  readonly session: string;
  readonly zone: string;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly onTaken: (error: TidemarkError) => void;
}

/** Of a lease: so often a node says that it is there. */
const SAYS_PER_LEASE = 4;
/** Leases for which a node that is silent still counts as a member: its shards fail over sooner, but are not spread anew yet. */
const MEMBER_LEASES = 3;

/** What a node left behind that is gone for good, as one with a generated id, is cleared away by the others. */
const FORGOTTEN_MS = 60 * 60_000;

/** Beyond the time in which a node says that it is there. */
const HEARD_WITHIN_MS = 200;

function taken(node: string): TidemarkError {
  return new TidemarkError("NODE_ID_TAKEN", `Another process runs as ${node}.`);
}

export class Members {
  jobs: readonly ClusterJob[] = [];
  state: NodeRecord["state"] = "active";
  /** Shards whose standby here is ready. */
  ready: readonly string[] = [];
  readonly #options: MembersOptions;
  readonly #startedAt: number;
  #saidAt = Number.NEGATIVE_INFINITY;
  #saying: Promise<void> = Promise.resolve();
  #said = "";
  #gone = false;

  constructor(options: MembersOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
  }

  /** Of all nodes that are there, this one first. */
  records(): readonly NodeRecord[] {
    return [this.own, ...this.others()];
  }

  /** Reads anew what the others say of themselves: news of them may be on its way. */
  async lookAgain(): Promise<void> {
    const { bucket } = this.#options;
    await Promise.all(this.others().map(({ node }) => bucket.refresh(node)));
  }

  others(): readonly NodeRecord[] {
    const { bucket, node, clock, leaseMs } = this.#options;
    const since = clock.monotonic() - leaseMs * MEMBER_LEASES;
    return [...bucket.entries()].flatMap(([, { record, at }]) =>
      record === undefined || record.node === node || at < since ? [] : [record],
    );
  }

  /** Those that shards may be assigned to. */
  assignable(): readonly Member[] {
    return this.records()
      .filter(({ state }) => state === "active")
      .map(({ node, zone, jobs }) => ({ node, zone, jobs: new Set(Object.keys(jobs)) }));
  }

  /** Other nodes whose standby of the shard is ready. */
  readyFor(shard: string): readonly string[] {
    const { bucket, clock, leaseMs } = this.#options;
    const since = clock.monotonic() - leaseMs;
    return this.others()
      .filter(({ node, state, ready }) => state === "active" && ready.includes(shard) && bucket.get(node)!.at >= since)
      .map(({ node }) => node);
  }

  /** Before this node says anything. Throws NODE_ID_TAKEN when a process that says that it is this node is alive. */
  async refuseSecond(): Promise<void> {
    const { bucket, node, clock, leaseMs } = this.#options;
    const found = bucket.get(node);
    if (found?.record === undefined) return;
    await clock.sleep(leaseMs / SAYS_PER_LEASE + HEARD_WITHIN_MS);
    await bucket.refresh(node);
    const later = bucket.get(node);
    if (later?.record !== undefined && later.revision !== found.revision) throw taken(node);
  }

  async sayNowAndThen(): Promise<void> {
    const { clock, leaseMs } = this.#options;
    const isNews = JSON.stringify(this.own) !== this.#said;
    if (isNews || clock.monotonic() - this.#saidAt >= leaseMs / SAYS_PER_LEASE) await this.say();
    await this.#forget();
  }

  /** One at a time; who is back meanwhile has written behind what was seen. */
  async #forget(): Promise<void> {
    const { bucket, node, clock } = this.#options;
    const before = clock.monotonic() - FORGOTTEN_MS;
    const [silent] = [...bucket.entries()].filter(([other, { record, at }]) => other !== node && record !== undefined && at < before);
    if (silent === undefined) return;
    const [other, { revision }] = silent;
    await bucket.delete(other, revision).catch(async (error: unknown) => {
      if (!isTidemarkError(error, "LOG_CONFLICT")) throw error;
      await bucket.refresh(other);
    });
  }

  /** One behind the other, so that what is said last stands. Fails with what made NATS unreachable. */
  say(): Promise<void> {
    const said = this.#saying.then(() => this.#sayNow());
    this.#saying = said.catch(() => {});
    return said;
  }

  async #sayNow(): Promise<void> {
    if (this.#gone) return;
    const { bucket, node, session, clock } = this.#options;
    const record = this.own;
    this.#refuseOther(bucket.get(node)?.record);
    try {
      await bucket.write(node, record, bucket.get(node)?.revision ?? 0);
    } catch (error) {
      if (!isTidemarkError(error, "LOG_CONFLICT")) throw error;
      await bucket.refresh(node);
      const found = bucket.get(node);
      this.#refuseOther(found?.record);
      // A write of its own of which no answer came; another process's is left alone.
      if (found?.record?.session === session) await bucket.write(node, record, found.revision);
    }
    this.#said = JSON.stringify(record);
    this.#saidAt = clock.monotonic();
  }

  /** The node is no member any more. */
  async depart(): Promise<void> {
    this.#gone = true;
    await this.#saying;
    const { bucket, node, session } = this.#options;
    const seen = bucket.get(node);
    if (seen?.record?.session === session) await bucket.delete(node, seen.revision);
  }

  async stop(): Promise<void> {
    await this.#options.bucket.stop();
  }

  /** A process before this one is silent; one that has written behind this one's record is not. */
  #refuseOther(found: NodeRecord | undefined): void {
    const { node, session, onTaken } = this.#options;
    if (found === undefined || found.session === session || this.#said === "") return;
    onTaken(taken(node));
  }

  /** What this node says of itself. */
  get own(): NodeRecord {
    const { node, session, zone } = this.#options;
    const jobs = Object.fromEntries(this.jobs.map(({ name, version, codeHash }) => [name, { version, codeHash }]));
    return { format: RECORD_FORMAT, node, session, zone, startedAt: this.#startedAt, state: this.state, jobs, ready: this.ready };
  }
}
