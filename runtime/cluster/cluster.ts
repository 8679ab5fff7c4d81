/**
 * This node among others: it says that it is there, holds the leases of the shards that it owns, and brings up, promotes
 * and ends shards as the leases and the assignment ask.
 *
 * What can fail, and what holds then:
 * - Two nodes believe that they own a shard, as when one slept: both write the same outputs, the second write of each is
 *   refused, and the one whose entry in the log is the older steps down. A lease is a hint that ends double work.
 * - A thread hangs: its shards do not answer, so their leases are not renewed.
 * - NATS is away: nothing is renewed, claimed or given. What runs goes on waiting as it does, and whoever is back first
 *   claims what is over.
 * - The clocks differ: a lease is over when no new revision has come for its time by the observer's own clock. Claims are
 *   compare-and-set, so one that was renewed meanwhile is not lost.
 */
import { randomBytes } from "node:crypto";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { Replication } from "../log/replication.ts";
import type { ShardRole } from "../shard/shard-parts.ts";
import { type Assigned, assign, type ShardName } from "./assignment.ts";
import { type Decision, decide, type LeaseView, type Standing } from "./decide.ts";
import { Members } from "./members.ts";
import { type LeaseRecord, type NodeRecord, newsOfLease, newsOfNode, RECORD_FORMAT, readRecord, shardKey } from "./records.ts";
import { WatchedBucket } from "./watched-bucket.ts";

/** The shards of this node, wherever they run. */
export interface ClusterShards {
  /** What answers: shards of a thread that hangs are missing. */
  standings(): Promise<readonly Standing[]>;
  host(job: string, shard: number, role: ShardRole): Promise<void>;
  setRole(job: string, shard: number, role: ShardRole): Promise<void>;
  end(job: string, shard: number): Promise<void>;
}

export interface ClusterOptions {
  readonly nc: NatsConnection;
  readonly node: string;
  readonly zone: string;
  readonly replication: Replication;
  /** How long a lease that is not renewed counts. */
  readonly leaseMs: number;
  readonly standbys: boolean;
  readonly shards: ClusterShards;
  readonly clock: Clock;
  readonly connected: () => boolean;
  readonly notice: (message: string) => void;
  /** Another process has this node's id. */
  readonly onTaken: (error: TidemarkError) => void;
}

export interface ClusterJob {
  readonly name: string;
  readonly partitions: number;
  readonly version: number;
  readonly codeHash: string;
}

const TURN_MS = 250;
const AT_LEAST_MS = 25;
const RENEWALS_PER_LEASE = 4;

export class Cluster {
  readonly members: Members;
  readonly #options: ClusterOptions;
  readonly #leases: WatchedBucket<LeaseRecord>;
  readonly #session: string;
  readonly #jobs = new Map<string, ClusterJob>();
  readonly #abort = new AbortController();
  /** By shard: when its lease was last renewed here, by this process's clock. */
  readonly #renewedAt = new Map<string, number>();
  /** Steps under way, by shard: none begins before the one before it has ended. */
  readonly #busy = new Map<string, Promise<void>>();
  /** When the last step of a shard has ended: what was asked before that says nothing of it. */
  readonly #steppedAt = new Map<string, number>();
  #assignment: { readonly of: string; readonly shards: readonly Assigned[] } | undefined;
  #standings: ReadonlyMap<string, Standing> = new Map();
  /** Ended by what is news since the last turn began: the next one follows at once. */
  #news = new AbortController();
  #run: Promise<void> = Promise.resolve();

  private constructor(options: ClusterOptions, members: Members, leases: WatchedBucket<LeaseRecord>, session: string) {
    this.#options = options;
    this.members = members;
    this.#leases = leases;
    this.#session = session;
  }

  /** Sees who is there. Fails with NATS_UNREACHABLE, or with NODE_ID_TAKEN where another process says that it is this node. */
  static async join(options: ClusterOptions): Promise<Cluster> {
    const { nc, node, zone, replication, clock, notice, leaseMs, onTaken } = options;
    const session = randomBytes(8).toString("hex");
    const bucket = { nc, replication, clock, notice };
    const nodes = await WatchedBucket.open<NodeRecord>({ ...bucket, name: "tidemark-nodes", read: readRecord, newsOf: newsOfNode });
    const leases = await WatchedBucket.open<LeaseRecord>({ ...bucket, name: "tidemark-leases", read: readRecord, newsOf: newsOfLease });
    const members = new Members({ bucket: nodes, node, session, zone, clock, leaseMs, onTaken });
    await members.refuseSecond();
    const cluster = new Cluster(options, members, leases, session);
    const wake = (): void => cluster.#news.abort();
    nodes.onChange = wake;
    leases.onChange = wake;
    return cluster;
  }

  /** The shards of a job count from now on. */
  add(job: ClusterJob): void {
    this.#jobs.set(job.name, job);
    this.members.jobs = [...this.#jobs.values()];
    this.#news.abort();
  }

  /** The job is gone from this node; its shards were ended. */
  async remove(name: string): Promise<void> {
    const job = this.#jobs.get(name);
    if (job === undefined) return;
    this.#jobs.delete(name);
    this.members.jobs = [...this.#jobs.values()];
    for (const shard of shardsOf(job)) {
      await this.#busy.get(shardKey(shard));
      await this.#release(shardKey(shard));
    }
  }

  /** Says that the node is there. Resolves when the first steps are taken: what is free and assigned to it runs then. */
  async start(): Promise<void> {
    await this.members.say();
    await this.#turn();
    await Promise.all(this.#busy.values());
    this.#run = this.#loop();
  }

  /** Who holds a shard's lease now, as far as is known here. */
  ownerOf(job: string, shard: number): string | undefined {
    return this.#leases.get(shardKey({ job, shard }))?.record?.node;
  }

  /** Owned here, or stood by for. */
  isHere(job: string, shard: number): boolean {
    return this.#standings.get(shardKey({ job, shard }))?.status === "running";
  }

  /** Throws NODE_UNREACHABLE when this node does not own the shard, as one that is asked late. */
  refuseOthers(job: string, shard: number): void {
    if (!this.owns(job, shard)) throw new TidemarkError("NODE_UNREACHABLE", `${this.#options.node} does not own ${job}/${shard}.`);
  }

  /** Of the process that holds the lease now. */
  holderOf(job: string, shard: number): string | undefined {
    const record = this.#leases.get(shardKey({ job, shard }))?.record;
    return record === undefined ? undefined : `${record.node} ${record.session}`;
  }

  /** Shards of this node's jobs whose lease nobody holds, or is over. */
  unowned(): readonly ShardName[] {
    return [...this.#jobs.values()].flatMap(shardsOf).filter((shard) => this.#viewOf(shardKey(shard)).holder === "nobody");
  }

  owns(job: string, shard: number): boolean {
    return this.#leases.get(shardKey({ job, shard }))?.record?.session === this.#session;
  }

  /** A node that drains gives its shards to nodes that are ready for them, gets none, and lives on. */
  async setDraining(draining: boolean): Promise<void> {
    this.members.state = draining ? "draining" : "active";
    await this.members.say();
    this.#news.abort();
  }

  /** Gives the shards away to nodes that are ready for them. Resolves when none is owned here any more, at the latest after `withinMs`. */
  async leave(withinMs: number): Promise<void> {
    const { clock, notice } = this.#options;
    const until = clock.monotonic() + withinMs;
    await this.setDraining(true).catch((error: unknown) => notice(`the others are not told that this node drains: ${messageOf(error)}`));
    // Where all are told to end, nobody is left to take anything.
    const isTaker = ({ state }: NodeRecord): boolean => state === "active";
    while (this.members.others().some(isTaker) && clock.monotonic() < until && this.#stillOwner()) await clock.sleep(TURN_MS / 5);
  }

  /** Ends the loop. The node's shards are still there. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#news.abort();
    await this.#run;
    await Promise.all(this.#busy.values());
  }

  /** When all shards have ended: others need not wait for the leases to be over. */
  async depart(): Promise<void> {
    const held = [...this.#leases.entries()].filter(([, { record }]) => record?.session === this.#session);
    await Promise.allSettled([...held.map(([key]) => this.#release(key)), this.members.depart()]);
    await Promise.all([this.#leases.stop(), this.members.stop()]);
  }

  #stillOwner(): boolean {
    const isMine = (key: string): boolean => this.#leases.get(key)?.record?.session === this.#session;
    return [...this.#standings].some(([key, { role, status }]) => status !== "halted" && (role === "owner" || isMine(key)));
  }

  async #loop(): Promise<void> {
    const { clock, connected, notice } = this.#options;
    const { signal } = this.#abort;
    for (let told = ""; !signal.aborted; ) {
      this.#news = new AbortController();
      try {
        if (connected()) await this.#turn();
        told = "";
      } catch (error) {
        const message = messageOf(error);
        if (!signal.aborted && message !== told) notice(`the cluster is not looked after: ${message}`);
        told = message;
      }
      await clock.sleep(AT_LEAST_MS, signal);
      await clock.sleep(TURN_MS, AbortSignal.any([signal, this.#news.signal]));
    }
  }

  async #turn(): Promise<void> {
    const { shards, standbys, clock } = this.#options;
    const askedAt = clock.monotonic();
    const standings = await shards.standings();
    this.#standings = new Map(standings.map((standing) => [shardKey(standing), standing]));
    this.members.ready = standings.filter(({ role, ready }) => role === "standby" && ready).map(shardKey);
    await this.members.sayNowAndThen();
    const names = [...this.#jobs.values()].flatMap(shardsOf);
    for (const assigned of this.#assigned(names, standbys)) this.#step(assigned, askedAt);
  }

  /** Worked out again when the jobs or the members are others. */
  #assigned(names: readonly ShardName[], standbys: boolean): readonly Assigned[] {
    const members = this.members.assignable();
    const of = JSON.stringify([names, members.map(({ node, zone, jobs }) => [node, zone, [...jobs]])]);
    if (this.#assignment?.of !== of) this.#assignment = { of, shards: assign(names, members, standbys) };
    return this.#assignment.shards;
  }

  #step(assigned: Assigned, askedAt: number): void {
    const key = shardKey(assigned);
    if (this.#busy.has(key) || askedAt <= (this.#steppedAt.get(key) ?? -1)) return;
    const local = this.#standings.get(key);
    const { node } = this.#options;
    const decision = decide({
      me: node,
      draining: this.members.state === "draining",
      assigned,
      lease: this.#viewOf(key),
      local,
      readyElsewhere: this.members.readyFor(key),
    });
    const work = this.#act(assigned, key, decision, local)
      .catch((error: unknown) => {
        // Somebody else was faster: what is true now is seen in a moment.
        if (isTidemarkError(error, "LOG_CONFLICT")) return this.#lookAgain(key);
        if (!this.#abort.signal.aborted) this.#options.notice(`${assigned.job}/${assigned.shard}: ${messageOf(error)}`);
      })
      .finally(() => {
        this.#steppedAt.set(key, this.#options.clock.monotonic());
        this.#busy.delete(key);
      });
    this.#busy.set(key, work);
  }

  async #act(name: ShardName, key: string, { lease, run }: Decision, local: Standing | undefined): Promise<void> {
    const { job, shard } = name;
    const { shards, node } = this.#options;
    let as = run;
    if (lease === "claim") {
      await this.#write(key, { node, session: this.#session });
      as = "owner";
    } else if (lease === "renew") {
      await this.#renew(key, local);
    } else if (lease !== undefined) {
      await this.#write(key, { node: lease.giveTo, session: null });
    }
    if (as === "keep" || this.#abort.signal.aborted) return;
    if (as === "none") {
      if (local !== undefined) await shards.end(job, shard);
    } else if (local === undefined) await shards.host(job, shard, as);
    else if (local.role !== as) await shards.setRole(job, shard, as);
  }

  /** Only with a sign of life of the shard's thread, or before it had the time for one. */
  async #renew(key: string, local: Standing | undefined): Promise<void> {
    const { clock, leaseMs, node } = this.#options;
    const last = this.#renewedAt.get(key) ?? 0;
    if (local === undefined || clock.monotonic() - last < leaseMs / RENEWALS_PER_LEASE) return;
    await this.#write(key, { node, session: this.#session }, true);
  }

  async #write(key: string, { node, session }: Pick<LeaseRecord, "node" | "session">, renews = false): Promise<void> {
    const { clock } = this.#options;
    const seen = this.#leases.get(key);
    const known = renews ? seen?.record : undefined;
    const record = { format: RECORD_FORMAT, node, session, since: known?.since ?? clock.now() };
    const at = clock.monotonic();
    await this.#leases.write(key, record, seen?.revision ?? 0);
    this.#renewedAt.set(key, at);
  }

  async #release(key: string): Promise<void> {
    const seen = this.#leases.get(key);
    if (seen?.record?.session !== this.#session) return;
    await this.#leases.delete(key, seen.revision).catch((error: unknown) => {
      if (!isTidemarkError(error)) throw error;
    });
  }

  async #lookAgain(key: string): Promise<void> {
    await this.#leases.refresh(key).catch(() => {});
  }

  #viewOf(key: string): LeaseView {
    const { clock, leaseMs, node } = this.#options;
    const seen = this.#leases.get(key);
    const forMs = seen === undefined ? Number.POSITIVE_INFINITY : clock.monotonic() - seen.at;
    const record = seen?.record;
    if (record === undefined) return { holder: "nobody", forMs };
    if (record.session === this.#session) return { holder: "me" };
    const given = record.session === null;
    if (record.node === node) return { holder: "my node", given };
    if (forMs >= leaseMs) return { holder: "nobody", forMs: forMs - leaseMs };
    return { holder: "other", node: record.node, given, forMs: clock.monotonic() - seen!.changedAt };
  }
}

function shardsOf({ name, partitions }: ClusterJob): ShardName[] {
  return Array.from({ length: partitions }, (_, shard) => ({ job: name, shard }));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
