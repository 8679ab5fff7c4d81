/** A shard in a memory world with an executor of effects beside it, on this machine's clock. */
import assert from "node:assert/strict";
import { writeOwner } from "../../actors/fold/journal.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import { slotOf } from "../../actors/model/key.ts";
import { HttpConnections } from "../../inference/remote/http-exchange.ts";
import { systemClock } from "../../runtime/clock.ts";
import { RESPONSE_MAX_BYTES } from "../../runtime/effects/bounds.ts";
import { CallFeed } from "../../runtime/effects/call-feed.ts";
import type { Callers } from "../../runtime/effects/caller.ts";
import { EffectExecutor } from "../../runtime/effects/executor.ts";
import { HttpCaller } from "../../runtime/effects/http-caller.ts";
import { TidemarkError } from "../../runtime/errors.ts";
import type { AppendOptions, PartitionLog } from "../../runtime/log/partition-log.ts";
import { openEpochs } from "../../runtime/shard/epochs.ts";
import type { Shard } from "../../runtime/shard/shard.ts";
import type { ShardParts } from "../../runtime/shard/shard-parts.ts";
import { cloudEvent, identityFor, type ReadOutput, readOutputs } from "./entries.ts";
import { type MemoryWorld, turn } from "./memory-world.ts";

/** Far more than any test needs: what does not come is to fail, not to run for ever. */
const TURNS_MAX = 2_000_000;

/** The world's log as one process sees it: it may be full, and it ends with the process. */
export class ProcessLog implements PartitionLog {
  readonly #log: PartitionLog;
  state: "open" | "full" | "gone" = "open";
  refused = 0;
  /** Bytes of the largest message that was to be appended. */
  largest = 0;
  /** How late an acknowledgement is. */
  ackMs = 0;
  /** Done right before the next append. */
  beforeNext: (() => Promise<unknown>) | undefined;
  /** Bytes of one message, at most. */
  messageBytesMax = Number.POSITIVE_INFINITY;

  constructor(log: PartitionLog) {
    this.#log = log;
  }

  get stream(): string {
    return this.#log.stream;
  }

  bounds: PartitionLog["bounds"] = () => this.#log.bounds();
  firstOn: PartitionLog["firstOn"] = (subject, from) => this.#log.firstOn(subject, from);
  lastOn: PartitionLog["lastOn"] = (subject) => this.#log.lastOn(subject);
  read: PartitionLog["read"] = (from) => this.#log.read(from);

  async append(subject: string, payload: Uint8Array, options?: AppendOptions): Promise<number> {
    this.largest = Math.max(this.largest, payload.length);
    if (payload.length > this.messageBytesMax) throw new TidemarkError("EVENT_TOO_LARGE", `${subject}: ${payload.length} bytes.`);
    // An acknowledgement takes its time, and what comes meanwhile goes with the next entry.
    await systemClock.sleep(1);
    const before = this.beforeNext;
    this.beforeNext = undefined;
    await before?.();
    if (this.state === "open") {
      const sequence = await this.#log.append(subject, payload, options);
      await systemClock.sleep(this.ackMs);
      return sequence;
    }
    this.refused++;
    throw new TidemarkError(this.state === "full" ? "LOG_FULL" : "NATS_UNREACHABLE", `${subject}.`);
  }
}

export class ExecutedShard {
  readonly shard: Shard;
  readonly executor: EffectExecutor;
  readonly world: MemoryWorld;
  readonly log: ProcessLog;
  readonly feed: CallFeed;
  readonly #connections: HttpConnections;

  private constructor(
    world: MemoryWorld,
    log: ProcessLog,
    shard: Shard,
    feed: CallFeed,
    callers: Callers | undefined,
    unansweredMax?: number,
  ) {
    this.world = world;
    this.log = log;
    this.shard = shard;
    this.feed = feed;
    this.#connections = new HttpConnections({ responseMaxBytes: RESPONSE_MAX_BYTES });
    const http = new HttpCaller(this.#connections, systemClock, Math.random);
    this.executor = new EffectExecutor(shard, shard.ownership.owner!, feed, callers ?? new Map([["http", http]]), unansweredMax);
    shard.isHeldUp = () => this.executor.overloaded;
  }

  /** `state`: of the log, at the start. `callers`: that of HTTP unless given. */
  static async start(
    world: MemoryWorld,
    {
      state = "open",
      callers,
      unansweredMax,
      ...changes
    }: Partial<ShardParts> & Partial<Pick<ProcessLog, "state">> & { readonly callers?: Callers; readonly unansweredMax?: number } = {},
  ): Promise<ExecutedShard> {
    const feed = new CallFeed();
    const log = new ProcessLog(world.log);
    world.log.now = Date.now();
    // Its epoch stands already, or there is room for it.
    await openEpochs(log, {
      log: world.job.log,
      partition: 0,
      job: world.job.name,
      identity: identityFor(world.job),
      profile: "production",
    });
    log.state = state;
    const shard = await world.start({ groupMs: 20 }, { clock: systemClock, log: world.whole(log), calls: feed, ...changes });
    return new ExecutedShard(world, log, shard, feed, callers, unansweredMax);
  }

  /** One turn of the shard's loop, as a node does it. */
  async turn(): Promise<void> {
    this.world.log.now = Date.now();
    this.executor.turn();
    if (this.shard.step() === "refused") await this.shard.ownership.recover();
    await turn();
  }

  async until(done: () => boolean, what: string): Promise<void> {
    for (let turns = 0; !done(); turns++) {
      assert(turns < TURNS_MAX, `${what} does not come: ${this.world.notices.join("\n")}`);
      await this.turn();
    }
  }

  /** The shard has folded the entry of another owner. It publishes again, under a newer one; whoever made calls before is over. */
  async untilOvertaken(): Promise<void> {
    await this.until(() => this.shard.ownership.overtaken, "the other owner");
    await this.world.takeBack(this.shard);
  }

  /** Every call is answered, and every output stored. */
  async untilAnswered(): Promise<void> {
    const { shard, world } = this;
    const folded = (): boolean => shard.fold.meta.cursor.sequence > world.log.lastSequence;
    await this.until(() => folded() && shard.fold.meta.calls === 0 && shard.stored >= shard.fold.meta.outputs, "the last result");
  }

  /** As a node stops: what is folded is committed, what is in flight is left. */
  async stop(): Promise<void> {
    await this.world.drain(this.shard);
    await this.executor.stop();
    this.#connections.close();
  }

  /** As a process dies: nothing of it is written any more. */
  async crash(): Promise<void> {
    this.world.store.crash();
    this.log.state = "gone";
    await this.executor.stop();
    this.#connections.close();
  }
}

export class OrderLog {
  readonly #world: MemoryWorld;
  #count = 0;

  constructor(world: MemoryWorld) {
    this.#world = world;
  }

  async place(customer: string, calls = 1, logTime = Date.now()): Promise<void> {
    const { log } = this.#world;
    const key = `k${++this.#count}`;
    log.now = logTime;
    const event = { id: `o${this.#count}`, type: "order.placed", key, time: logTime, data: { customer, calls } };
    await log.append(`orders.${slotOf(key)}.e.${key}`, Buffer.from(JSON.stringify(cloudEvent(event))));
  }

  async own(node: string): Promise<number> {
    return await this.#world.log.append(journalSubject("orders", 0, "orders"), Buffer.from(writeOwner(`token of ${node}`, node)));
  }
}

/** What came of the calls, by customer and number. */
export function enrichedIn(world: MemoryWorld): ReadOutput["data"][] {
  const outputs = Array.from({ length: world.broker.lastSequence }, (_, i) => world.broker.message(i + 1)!);
  return readOutputs(outputs)
    .filter(({ type }) => type === "order.enriched")
    .map(({ data }) => data);
}
