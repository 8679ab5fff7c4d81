/**
 * Events that must reach the log in their order: those of one key, or of one lane of slots. One message of a conveyor is on its way
 * at a time; what comes meanwhile waits and travels together in the next, as a CloudEvents batch.
 */
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import type { TidemarkError } from "../errors.ts";

/** Where an event was stored. */
export interface Published {
  readonly partition: number;
  readonly sequence: number;
  /** Place in its message: 0 for a single event. */
  readonly index: number;
}

export interface PendingEvent {
  /** Order of the calls over the whole publisher. */
  readonly ordinal: number;
  readonly token: string;
  readonly slot: number;
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  /** A structured CloudEvent without headers: it may stand in a batch. */
  readonly joinable: boolean;
  done(outcome: Published | TidemarkError): void;
}

export interface ConveyorMessage {
  readonly events: readonly PendingEvent[];
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs | undefined;
}

export interface BatchBounds {
  readonly batchBytesMax: number;
  readonly batchEventsMax: number;
}

const OPEN = 91;
const COMMA = 44;
const CLOSE = 93;
const BATCH_CONTENT_TYPE = "application/cloudevents-batch+json";

const batchHeaders = headers();
batchHeaders.set("content-type", BATCH_CONTENT_TYPE);

export class EventConveyor {
  readonly waiting: PendingEvent[] = [];
  /** A message is on its way. */
  busy = false;
  /** The key that it carries; `undefined` for a lane. */
  readonly token: string | undefined;
  readonly partition: number;

  constructor(token: string | undefined, partition: number) {
    this.token = token;
    this.partition = partition;
  }

  /** Takes what the next message carries. A lane's message is a batch even with one event: its subject names no key. */
  next(bounds: BatchBounds): ConveyorMessage {
    const count = this.#countOfNext(bounds);
    const events = this.waiting.splice(0, count);
    if (count === 1 && this.token !== undefined) {
      const [event] = events;
      return { events, payload: event!.payload, headers: event!.headers };
    }
    return { events, payload: joinEvents(events), headers: batchHeaders };
  }

  #countOfNext(bounds: BatchBounds): number {
    if (!this.waiting[0]!.joinable) return 1;
    let bytes = 1;
    let count = 0;
    for (const event of this.waiting) {
      bytes += event.payload.length + 1;
      if (!event.joinable || count === bounds.batchEventsMax || (count > 0 && bytes > bounds.batchBytesMax)) break;
      count++;
    }
    return count;
  }
}

/** `[event,event,…]`. */
function joinEvents(events: readonly PendingEvent[]): Uint8Array {
  let length = 1 + events.length;
  for (const event of events) length += event.payload.length;
  const joined = Buffer.allocUnsafe(length);
  let at = 0;
  for (const event of events) {
    joined[at] = at === 0 ? OPEN : COMMA;
    joined.set(event.payload, at + 1);
    at += 1 + event.payload.length;
  }
  joined[at] = CLOSE;
  return joined;
}
