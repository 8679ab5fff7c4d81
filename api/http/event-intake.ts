/**
 * The way of HTTP into one log: the log's publisher, shared by all requests of a node, within a bound of bytes.
 * The publisher bounds the events that wait; those of HTTP are of any size, so their bytes are bounded here too.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { TidemarkError } from "../../runtime/errors.ts";
import { type KeyedEvent, type LogPublisher, openLogPublisher, type PublishResult } from "../../runtime/log/log-publisher.ts";
import type { SlotMap } from "../../runtime/log/slot-map.ts";

export interface EventIntakeOptions {
  /** Bytes of events without an outcome at most; beyond it requests get `PUBLISH_OVERLOADED`. Default 32 MiB. */
  readonly bytesMax?: number;
  /** Default 20,000. */
  readonly eventsMax?: number;
  /** How long a caller waits for its outcomes; then they are `PUBLISH_TIMEOUT`, and the publisher goes on trying. Default 5 s. */
  readonly waitMs?: number;
}

const BYTES_MAX = 32 * 1024 * 1024;
const EVENTS_MAX = 20_000;
const WAIT_MS = 5_000;
/** Of the publisher, which asks for the slot map between two of them: under a minute in all. */
const TRIES = 4;

export class EventIntake {
  readonly #publisher: LogPublisher;
  readonly #bytesMax: number;
  readonly #waitMs: number;
  #bytes = 0;

  constructor(nc: NatsConnection, log: string, map: SlotMap, options: EventIntakeOptions = {}) {
    this.#publisher = openLogPublisher(nc, log, map, {
      bytesAreCloudEvents: true,
      waitingEventsMax: options.eventsMax ?? EVENTS_MAX,
      tries: TRIES,
      // A partition has one watermark: of a request in the order of time, a lane that gets ahead would make the others' events late.
      lanes: 1,
    });
    this.#bytesMax = options.bytesMax ?? BYTES_MAX;
    this.#waitMs = options.waitMs ?? WAIT_MS;
  }

  /** One outcome per event, in order; the events of a partition are stored in this order. An event may be stored although it failed with `PUBLISH_TIMEOUT`. */
  async publish(events: readonly KeyedEvent[]): Promise<PublishResult[]> {
    const bytes = events.reduce((sum, { payload }) => sum + (payload instanceof Uint8Array ? payload.length : 0), 0);
    if (this.#bytes > 0 && this.#bytes + bytes > this.#bytesMax) {
      return events.map(() => new TidemarkError("PUBLISH_OVERLOADED", `${this.#publisher.log}: ${this.#bytes} bytes wait already.`));
    }
    this.#bytes += bytes;
    const publishing = this.#publisher.publishBatch(events).finally(() => {
      this.#bytes -= bytes;
    });
    return await within(this.#waitMs, publishing, () =>
      events.map(() => new TidemarkError("PUBLISH_TIMEOUT", `${this.#publisher.log}: no acknowledgement within ${this.#waitMs} ms.`)),
    );
  }

  /** What has no outcome yet gets `PUBLISH_TIMEOUT`. */
  close(): void {
    this.#publisher.close();
  }
}

async function within<T>(ms: number, promise: Promise<T>, otherwise: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(otherwise()), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
