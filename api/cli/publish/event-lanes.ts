/**
 * Sends events in batches without changing the order of a partition. A partition belongs to one lane, and a lane has one batch
 * on its way: what comes behind it waits. The order of a key alone would not do: a partition has one watermark, and a batch that
 * overtakes another one makes the events of that one late. Memory is bound: two batches for each lane. Nothing here knows HTTP or time.
 */
import { slotOf, writeKey } from "../../../actors/model/key.ts";

export interface LaneEvent {
  readonly line: number;
  readonly id: string;
  readonly bytes: Uint8Array;
}

export interface LaneBounds {
  readonly lanes: number;
  /** Of the log: a slot belongs to partition slot mod partitions. */
  readonly partitions: number;
  readonly batchEvents: number;
  readonly batchBytes: number;
}

/** Resolves when every event of the batch has its answer; the batch is never changed while it is on its way. */
type Send = (batch: readonly LaneEvent[]) => Promise<void>;

interface Lane {
  open: LaneEvent[];
  openBytes: number;
  onItsWay: readonly LaneEvent[];
  sending: Promise<void> | undefined;
}

export class EventLanes {
  readonly #lanes: readonly Lane[];
  readonly #bounds: LaneBounds;
  readonly #send: Send;
  #failure: unknown;
  #stopped = false;

  constructor(bounds: LaneBounds, send: Send) {
    this.#bounds = bounds;
    this.#send = send;
    this.#lanes = Array.from({ length: bounds.lanes }, () => ({ open: [], openBytes: 0, onItsWay: [], sending: undefined }));
  }

  /** Takes the event, or says what to wait for before it is offered again. Throws what a send failed with. */
  offer(key: string | undefined, event: LaneEvent): Promise<void> | undefined {
    this.#check();
    const lane = this.#laneOf(key);
    const { batchEvents, batchBytes } = this.#bounds;
    const full = lane.open.length >= batchEvents || (lane.open.length > 0 && lane.openBytes + event.bytes.length > batchBytes);
    if (full) {
      if (lane.sending !== undefined) return lane.sending;
      this.#start(lane);
    }
    lane.open.push(event);
    lane.openBytes += event.bytes.length;
    if (lane.open.length >= batchEvents) this.#start(lane);
    return undefined;
  }

  /** Sends what waits, full or not, as far as its lane is free. */
  flush(): void {
    for (const lane of this.#lanes) this.#start(lane);
  }

  /** Resolves when everything has its answer. Throws what a send failed with. */
  async drain(): Promise<void> {
    for (;;) {
      this.#check();
      this.flush();
      const sending = this.#lanes.flatMap((lane) => (lane.sending === undefined ? [] : [lane.sending]));
      if (sending.length === 0) return this.#check();
      await Promise.race(sending);
    }
  }

  /** Resolves when no batch is on its way any more, whatever came of it. From now on nothing is sent. */
  async settle(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lanes.map((lane) => lane.sending));
  }

  /** Line of the first event that has no answer; undefined when all have one. */
  firstUnanswered(): number | undefined {
    const lines = this.#lanes
      .flatMap((lane) => [lane.onItsWay[0], lane.open[0]])
      .flatMap((event) => (event === undefined ? [] : [event.line]));
    return lines.length === 0 ? undefined : Math.min(...lines);
  }

  #laneOf(key: string | undefined): Lane {
    // Without a valid key there is no order to keep: the server refuses the event.
    const token = key === undefined ? undefined : writeKey(key);
    const partition = token === undefined ? 0 : slotOf(token) % this.#bounds.partitions;
    return this.#lanes[partition % this.#lanes.length]!;
  }

  #start(lane: Lane): void {
    if (lane.sending !== undefined || lane.open.length === 0 || this.#stopped || this.#failure !== undefined) return;
    lane.onItsWay = lane.open;
    lane.open = [];
    lane.openBytes = 0;
    lane.sending = this.#send(lane.onItsWay).then(
      () => {
        lane.onItsWay = [];
        lane.sending = undefined;
        if (lane.open.length >= this.#bounds.batchEvents) this.#start(lane);
      },
      (error: unknown) => {
        this.#failure ??= error;
        lane.sending = undefined;
      },
    );
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
