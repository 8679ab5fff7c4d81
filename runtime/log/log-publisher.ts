/**
 * Publishes events into a log: acknowledged, bounded, in order per key.
 *
 * Invariants: at most one unacknowledged message per key (`publish`) or per lane of slots (`publishBatch`), so that trying again never
 * reorders a key; every event gets its own outcome, exactly once; an event reported as failed may still be stored only when its code is
 * `PUBLISH_TIMEOUT`. An event may be stored twice after a lost acknowledgement: the fold knows it by its id. No `Nats-Msg-Id` is sent:
 * the server would swallow a second event that the fold has to see.
 * Use either `publish` or `publishBatch` for a key at a time: the order between the two is not kept while one is unacknowledged.
 */
import { headers, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { TidemarkError } from "../errors.ts";
import { type BatchBounds, type ConveyorMessage, EventConveyor, type PendingEvent, type Published } from "./event-conveyor.ts";
import type { PublishAck } from "./publish-ack.ts";
import { PublishWindow } from "./publish-window.ts";
import { batchSubject, eventSubject, partitionOf, readSlotMap, type SlotMap } from "./slot-map.ts";

export interface CloudEvent {
  readonly specversion: "1.0";
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly [attribute: string]: unknown;
}

/** Bytes go out as they are; leave them unchanged until the event has its outcome. */
export type EventPayload = CloudEvent | Uint8Array;

export interface KeyedEvent {
  readonly key: string;
  readonly payload: EventPayload;
}

/** One per event, in their order. */
export type PublishResult = Published | TidemarkError;

export interface LogPublisherOptions {
  /** Unacknowledged messages at most. Default 4,096; the server drops unacknowledged bursts far above it. */
  readonly messagesMax?: number;
  /** Unacknowledged bytes at most, one message over. Default 8 MiB. */
  readonly bytesMax?: number;
  /** Events that wait for room or for their key at most; beyond it calls fail with `PUBLISH_OVERLOADED`. Default 65,536. */
  readonly waitingEventsMax?: number;
  /** Default 2 s. */
  readonly ackTimeoutMs?: number;
  /** Default 10. */
  readonly tries?: number;
  /** Lanes per partition for batches. Default 4. */
  readonly lanes?: number;
  /** Default 1,000. */
  readonly batchEventsMax?: number;
  /** Payloads given as bytes are structured CloudEvents in JSON, so that they may travel in batches. Default false. */
  readonly bytesAreCloudEvents?: boolean;
}

/** Largest event, and largest batch, in bytes of payload. */
export const EVENT_BYTES_MAX = 512 * 1024;
/** Slots that lie together in a lane: as many neighbours as there are partitions, or more, belong to different ones. */
const LANE_SLOTS = 32;
/** The brackets around a batch of one. */
const BATCH_FRAME_BYTES = 2;

const DEFAULTS: Required<LogPublisherOptions> = {
  messagesMax: 4_096,
  bytesMax: 8 * 1024 * 1024,
  waitingEventsMax: 65_536,
  ackTimeoutMs: 2_000,
  tries: 10,
  lanes: 4,
  batchEventsMax: 1_000,
  bytesAreCloudEvents: false,
};

export function openLogPublisher(nc: NatsConnection, log: string, slotMap: SlotMap, options: LogPublisherOptions = {}): LogPublisher {
  return new LogPublisher(nc, log, slotMap, options);
}

export class LogPublisher {
  readonly log: string;
  readonly #nc: NatsConnection;
  readonly #options: Required<LogPublisherOptions>;
  readonly #bounds: BatchBounds;
  readonly #window: PublishWindow;
  readonly #keys = new Map<string, EventConveyor>();
  #lanes = new Map<number, EventConveyor>();
  /** Conveyors that have something to send and nothing on its way, the longest waiting first. */
  readonly #ready = new Set<EventConveyor>();
  #map: SlotMap;
  #reload: Promise<SlotMap | undefined> | undefined;
  /** Events of batches that an old map had composed; lanes stand still until none of those is on its way. */
  #returned: PendingEvent[] | undefined;
  #lanesBusy = 0;
  #ordinal = 0;
  #waitingEvents = 0;
  #roomWaiters: (() => void)[] = [];
  #idleWaiters: (() => void)[] = [];
  #closed = false;

  constructor(nc: NatsConnection, log: string, slotMap: SlotMap, options: LogPublisherOptions) {
    this.log = log;
    this.#nc = nc;
    this.#map = slotMap;
    this.#options = { ...DEFAULTS, ...options };
    this.#bounds = { batchBytesMax: EVENT_BYTES_MAX, batchEventsMax: this.#options.batchEventsMax };
    this.#window = new PublishWindow(nc, this.#options);
  }

  /**
   * Publishes one event of `key`; resolves when it is stored. Rejects with `KEY_INVALID`, `EVENT_TOO_LARGE`, `LOG_FULL`, `LOG_MISSING`,
   * `PUBLISH_OVERLOADED`, `NATS_UNREACHABLE`, or `PUBLISH_TIMEOUT`: the last one alone may be stored.
   */
  publish(key: string, payload: EventPayload, head?: ReadonlyMap<string, string>): Promise<Published> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusalOf(1);
      if (refusal !== undefined) throw refusal;
      const done = (outcome: PublishResult) => (outcome instanceof TidemarkError ? reject(outcome) : resolve(outcome));
      const event = this.#eventOf(key, payload, head, 0, done);
      const { token } = event;
      let conveyor = this.#keys.get(token);
      if (conveyor === undefined) {
        conveyor = new EventConveyor(token, -1);
        this.#keys.set(token, conveyor);
      }
      this.#enqueue(conveyor, event);
      this.#pump();
    });
  }

  /** Publishes CloudEvents of any keys in batches per partition; one outcome per event, in order. Bytes must be structured CloudEvents. */
  publishBatch(events: readonly KeyedEvent[]): Promise<PublishResult[]> {
    return new Promise((resolve) => {
      const refusal = this.#refusalOf(events.length);
      if (refusal !== undefined || events.length === 0) {
        resolve(events.map(() => refusal!));
        return;
      }
      const results: PublishResult[] = new Array(events.length);
      let open = events.length;
      const prepared = events.map((keyed, i) =>
        this.#laneEventOf(keyed, (outcome) => {
          results[i] = outcome;
          if (--open === 0) resolve(results);
        }),
      );
      for (const event of prepared) if (event !== undefined) this.#toLane(event);
      this.#pump();
    });
  }

  /** Resolves when a publish would be sent without a long wait. Await it before each call, or each few, to feel the log's pressure. */
  async ready(): Promise<void> {
    while (!this.#isReady && !this.#closed) await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Resolves when every event published so far has its outcome. */
  async drain(): Promise<void> {
    while (!this.#isIdle && !this.#closed) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Everything without an outcome gets `PUBLISH_TIMEOUT`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const conveyors = [...this.#keys.values(), ...this.#lanes.values()];
    const unsent = [...(this.#returned ?? []), ...conveyors.flatMap((conveyor) => conveyor.waiting.splice(0))];
    this.#window.close();
    for (const event of unsent) event.done(new TidemarkError("PUBLISH_TIMEOUT", `${this.log}: the publisher was closed.`));
    this.#wake();
  }

  get #isReady(): boolean {
    return this.#window.hasRoom && this.#waitingEvents * 2 <= this.#options.waitingEventsMax;
  }

  get #isIdle(): boolean {
    return this.#waitingEvents === 0 && this.#window.messages === 0 && this.#returned === undefined;
  }

  /** Why `count` more events may not come in; `undefined` when they may. */
  #refusalOf(count: number): TidemarkError | undefined {
    if (this.#closed) return new TidemarkError("PUBLISH_TIMEOUT", `${this.log}: the publisher is closed.`);
    // A single call larger than the bound is let in when nothing waits: it could never be otherwise.
    if (this.#waitingEvents === 0 || this.#waitingEvents + count <= this.#options.waitingEventsMax) return undefined;
    return new TidemarkError("PUBLISH_OVERLOADED", `${this.log}: ${this.#waitingEvents} events wait already.`);
  }

  /** `undefined` when the event has its outcome already. Throws TypeError for what JSON cannot hold, before anything was sent. */
  #laneEventOf(keyed: KeyedEvent, done: (outcome: PublishResult) => void): PendingEvent | undefined {
    try {
      return this.#eventOf(keyed.key, keyed.payload, undefined, BATCH_FRAME_BYTES, done);
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      done(error);
      return undefined;
    }
  }

  #toLane(event: PendingEvent): void {
    if (this.#returned === undefined) {
      this.#enqueue(this.#laneOf(event.slot), event);
    } else {
      this.#returned.push(event);
      this.#waitingEvents++;
    }
  }

  /** Throws `KEY_INVALID`, `EVENT_TOO_LARGE`; TypeError for what JSON cannot hold. */
  #eventOf(
    key: string,
    payload: EventPayload,
    head: ReadonlyMap<string, string> | undefined,
    frameBytes: number,
    done: PendingEvent["done"],
  ): PendingEvent {
    const token = writeKey(key);
    if (token === undefined) throw new TidemarkError("KEY_INVALID", `${JSON.stringify(key.slice(0, 64))}.`);
    const raw = payload instanceof Uint8Array;
    const bytes = raw ? payload : Buffer.from(JSON.stringify(payload));
    if (bytes.length + frameBytes > EVENT_BYTES_MAX) {
      throw new TidemarkError("EVENT_TOO_LARGE", `${this.log}, key ${token}: ${bytes.length} bytes.`);
    }
    const plain = head === undefined || head.size === 0;
    const isCloudEvent = raw ? this.#options.bytesAreCloudEvents || frameBytes > 0 : payload.specversion === "1.0";
    const ordinal = ++this.#ordinal;
    return {
      ordinal,
      token,
      slot: slotOf(token),
      payload: bytes,
      headers: plain ? undefined : headersOf(head),
      joinable: plain && isCloudEvent,
      done,
    };
  }

  #laneOf(slot: number): EventConveyor {
    const { lanes } = this.#options;
    const partition = partitionOf(this.#map, slot);
    const number = partition * lanes + (Math.floor(slot / LANE_SLOTS) % lanes);
    let lane = this.#lanes.get(number);
    if (lane === undefined) {
      lane = new EventConveyor(undefined, partition);
      this.#lanes.set(number, lane);
    }
    return lane;
  }

  #enqueue(conveyor: EventConveyor, event: PendingEvent): void {
    conveyor.waiting.push(event);
    this.#waitingEvents++;
    if (!conveyor.busy) this.#ready.add(conveyor);
  }

  #pump(): void {
    for (const conveyor of this.#ready) {
      if (!this.#window.hasRoom) return;
      this.#ready.delete(conveyor);
      this.#send(conveyor);
    }
  }

  #send(conveyor: EventConveyor): void {
    const message = conveyor.next(this.#bounds);
    const { version } = this.#map;
    const { token } = conveyor;
    this.#waitingEvents -= message.events.length;
    conveyor.busy = true;
    if (token === undefined) this.#lanesBusy++;
    this.#window.send({
      subject: token === undefined ? batchSubject(this.log, conveyor.partition, version) : eventSubject(this.log, token),
      payload: message.payload,
      headers: message.headers,
      settled: (outcome) => this.#settled(conveyor, message, outcome),
      ...(token === undefined ? { isOutdated: () => this.#isOutdated(version), takenBack: () => this.#takenBack(conveyor, message) } : {}),
    });
  }

  #settled(conveyor: EventConveyor, message: ConveyorMessage, outcome: PublishAck | TidemarkError): void {
    if (outcome instanceof TidemarkError) {
      for (const event of message.events) event.done(outcome);
    } else {
      const partition = Number(outcome.stream.slice(this.log.length + 1));
      const { sequence } = outcome;
      for (let index = 0; index < message.events.length; index++) message.events[index]!.done({ partition, sequence, index });
    }
    this.#free(conveyor);
  }

  #free(conveyor: EventConveyor): void {
    conveyor.busy = false;
    if (conveyor.token === undefined) this.#lanesBusy--;
    const stopped = conveyor.token === undefined && this.#returned !== undefined;
    if (conveyor.waiting.length > 0 && !stopped) this.#ready.add(conveyor);
    else if (conveyor.token !== undefined) this.#keys.delete(conveyor.token);
    if (stopped && this.#lanesBusy === 0) this.#splitAnew();
    this.#pump();
    this.#wake();
  }

  /** A batch that nobody answers may be of an old map. From then on lanes stand still. */
  async #isOutdated(version: number): Promise<boolean> {
    this.#reload ??= readSlotMap(this.#nc, this.log).finally(() => {
      this.#reload = undefined;
    });
    const map = await this.#reload;
    if (map !== undefined && map.version > this.#map.version) {
      this.#map = map;
      this.#returned ??= [];
      for (const lane of this.#lanes.values()) this.#ready.delete(lane);
    }
    return this.#map.version !== version;
  }

  #takenBack(lane: EventConveyor, message: ConveyorMessage): void {
    this.#returned ??= [];
    this.#returned.push(...message.events);
    this.#waitingEvents += message.events.length;
    this.#free(lane);
  }

  /** No batch of the old map is on its way: what waits goes into the lanes of the new one, in the order of the calls. */
  #splitAnew(): void {
    const events = [...(this.#returned ?? []), ...[...this.#lanes.values()].flatMap((lane) => lane.waiting)];
    this.#returned = undefined;
    this.#lanes = new Map();
    this.#waitingEvents -= events.length;
    events.sort((a, b) => a.ordinal - b.ordinal);
    for (const event of events) this.#enqueue(this.#laneOf(event.slot), event);
  }

  #wake(): void {
    if (this.#roomWaiters.length > 0 && (this.#isReady || this.#closed)) {
      const waiters = this.#roomWaiters;
      this.#roomWaiters = [];
      for (const resolve of waiters) resolve();
    }
    if (this.#idleWaiters.length > 0 && (this.#isIdle || this.#closed)) {
      const waiters = this.#idleWaiters;
      this.#idleWaiters = [];
      for (const resolve of waiters) resolve();
    }
  }
}

function headersOf(head: ReadonlyMap<string, string>): MsgHdrs {
  const set = headers();
  for (const [name, value] of head) set.set(name, value);
  return set;
}
