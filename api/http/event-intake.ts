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
  /** How often a batch is sent at most, 2 s apart: a caller waits, and may send again itself. Default 4. */
  readonly tries?: number;
}

const BYTES_MAX = 32 * 1024 * 1024;
const EVENTS_MAX = 20_000;
const TRIES = 4;

export class EventIntake {
  readonly #publisher: LogPublisher;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(nc: NatsConnection, log: string, map: SlotMap, options: EventIntakeOptions = {}) {
    this.#publisher = openLogPublisher(nc, log, map, {
      bytesAreCloudEvents: true,
      waitingEventsMax: options.eventsMax ?? EVENTS_MAX,
      tries: options.tries ?? TRIES,
    });
    this.#bytesMax = options.bytesMax ?? BYTES_MAX;
  }

  /** One outcome per event, in order; the events of a key are stored in this order. An event may be stored although it failed with `PUBLISH_TIMEOUT`. */
  async publish(events: readonly KeyedEvent[]): Promise<PublishResult[]> {
    const bytes = events.reduce((sum, { payload }) => sum + (payload instanceof Uint8Array ? payload.length : 0), 0);
    if (this.#bytes > 0 && this.#bytes + bytes > this.#bytesMax) {
      return events.map(() => new TidemarkError("PUBLISH_OVERLOADED", `${this.#publisher.log}: ${this.#bytes} bytes wait already.`));
    }
    this.#bytes += bytes;
    try {
      return await this.#publisher.publishBatch(events);
    } finally {
      this.#bytes -= bytes;
    }
  }

  /** What has no outcome yet gets `PUBLISH_TIMEOUT`. */
  close(): void {
    this.#publisher.close();
  }
}
