/**
 * Publishes an input of any length: reads, looks at each event as far as the order of its key needs, and sends batches
 * by lanes. What cannot be an event is counted as refused, and the rest goes on.
 */
import type { Clock } from "../../../runtime/clock.ts";
import { TidemarkError } from "../../../runtime/errors.ts";
import type { ApiClient } from "../client/api-client.ts";
import { postBatch } from "./batch-post.ts";
import { EventLanes, type LaneEvent } from "./event-lanes.ts";
import { type Refusal, readObject } from "./json-document.ts";
import { type DocumentText, jsonDocuments } from "./json-documents.ts";

export interface PublishOptions {
  readonly api: ApiClient;
  readonly log: string;
  readonly partitions: number;
  readonly batchEvents: number;
  /** Events in a second; undefined: as fast as the node takes them. */
  readonly rate: number | undefined;
  readonly clock: Clock;
  /** Aborted: what is on its way is waited for, nothing more is sent. */
  readonly signal: AbortSignal;
  readonly retrying: (reason: string, waitMs: number) => void;
  /** Called often: with each block read, and each batch answered. */
  readonly progress: (counts: PublishCounts) => void;
}

export interface PublishCounts {
  readonly bytesRead: number;
  readonly read: number;
  readonly appended: number;
  readonly refused: number;
}

export interface PublishReport extends PublishCounts {
  /** The first of the refused, by line. */
  readonly refusals: readonly Refusal[];
  /** Every event has its answer. */
  readonly complete: boolean;
  /** Everything before this line has its answer; undefined when all has. */
  readonly firstUnanswered: number | undefined;
  readonly failure: unknown;
}

export const REFUSALS_SHOWN = 10;
const LANES = 8;
/** A body is at most 1 MiB; an event alone may be up to that and is refused by the node over 512 KiB. */
const BATCH_BYTES = 768 * 1024;
const DOCUMENT_BYTES_MAX = 1024 * 1024 - 2;
const TOO_LONG = { code: "EVENT_TOO_LARGE", detail: "The document is over 1 MiB; an event is at most 512 KiB." };
/** So long an event waits for its batch to fill, when the input is slow. */
const LINGER_MS = 50;

export async function publish(input: AsyncIterable<Uint8Array>, options: PublishOptions): Promise<PublishReport> {
  return await new PublishRun(options).run(input);
}

class PublishRun {
  readonly #options: PublishOptions;
  readonly #lanes: EventLanes;
  readonly #refusals: Refusal[] = [];
  readonly #startedAt: number;
  #bytesRead = 0;
  #read = 0;
  #appended = 0;
  #refused = 0;

  constructor(options: PublishOptions) {
    this.#options = options;
    this.#startedAt = options.clock.monotonic();
    const bounds = { lanes: LANES, partitions: options.partitions, batchEvents: options.batchEvents, batchBytes: BATCH_BYTES };
    this.#lanes = new EventLanes(bounds, (batch) => this.#post(batch));
  }

  async run(input: AsyncIterable<Uint8Array>): Promise<PublishReport> {
    let failure: unknown;
    const linger = setInterval(() => this.#lanes.flush(), LINGER_MS);
    try {
      for await (const { documents, bytesRead } of untilAborted(jsonDocuments(input, DOCUMENT_BYTES_MAX), this.#options.signal)) {
        this.#bytesRead = bytesRead;
        for (const document of documents) await this.#take(document);
        this.#tell();
        if (this.#options.signal.aborted) break;
      }
      if (!this.#options.signal.aborted) await this.#lanes.drain();
    } catch (error) {
      failure = error;
    } finally {
      clearInterval(linger);
    }
    await this.#lanes.settle();
    const firstUnanswered = this.#lanes.firstUnanswered();
    const complete = failure === undefined && firstUnanswered === undefined && !this.#options.signal.aborted;
    const refusals = this.#refusals.sort((a, b) => a.line - b.line).slice(0, REFUSALS_SHOWN);
    return { ...this.#counts(), refusals, complete, firstUnanswered, failure };
  }

  async #take(document: DocumentText): Promise<void> {
    if (this.#options.signal.aborted) return;
    this.#read++;
    const event = readEvent(document);
    if ("code" in event) return this.#refuse(event);
    await this.#pace();
    for (;;) {
      const wait = this.#lanes.offer(event.key, event);
      if (wait === undefined) return;
      await wait;
    }
  }

  /** With a rate: waits until this event is due. */
  async #pace(): Promise<void> {
    const { rate, clock } = this.#options;
    if (rate === undefined) return;
    const due = this.#startedAt + ((this.#read - 1) * 1_000) / rate;
    const early = due - clock.monotonic();
    // Timers are no finer than a millisecond: what is due within it goes along.
    if (early < 1) return;
    await clock.sleep(early);
  }

  async #post(batch: readonly LaneEvent[]): Promise<void> {
    const { api, log, clock, signal, retrying } = this.#options;
    const { appended, refused } = await postBatch(batch, { api, log, clock, signal, retrying });
    this.#appended += appended;
    for (const refusal of refused) this.#refuse(refusal);
    this.#tell();
    const full = refused.find(({ code }) => code === "LOG_FULL");
    if (full !== undefined) throw new TidemarkError("LOG_FULL", full.detail);
  }

  #refuse(refusal: Refusal): void {
    this.#refused++;
    this.#refusals.push(refusal);
    // Lanes answer out of order: twice as many are kept as are shown, and the earliest of them stay.
    if (this.#refusals.length >= 2 * REFUSALS_SHOWN) {
      this.#refusals.sort((a, b) => a.line - b.line);
      this.#refusals.length = REFUSALS_SHOWN;
    }
  }

  #counts(): PublishCounts {
    return { bytesRead: this.#bytesRead, read: this.#read, appended: this.#appended, refused: this.#refused };
  }

  #tell(): void {
    this.#options.progress(this.#counts());
  }
}

/** The event's key and id, or why it can be none. Whether it is a CloudEvent is the node's to say. */
function readEvent(document: DocumentText): (LaneEvent & { readonly key: string | undefined }) | Refusal {
  const read = readObject(document, TOO_LONG);
  if ("refusal" in read) return read.refusal;
  const { id, subject } = read.value;
  const key = typeof subject === "string" ? subject : undefined;
  return { line: document.line, id: typeof id === "string" ? id : "", bytes: read.bytes, key };
}

/** Ends at once when the signal is aborted, even while the input has nothing to give. */
async function* untilAborted<T>(source: AsyncGenerator<T>, signal: AbortSignal): AsyncGenerator<T> {
  let wake: (() => void) | undefined;
  const stop = (): void => wake?.();
  signal.addEventListener("abort", stop, { once: true });
  try {
    for (;;) {
      if (signal.aborted) return;
      // A promise for each turn: one that lives as long as the input would keep, by the race, every block ever read.
      const { promise: aborted, resolve } = Promise.withResolvers<undefined>();
      wake = () => resolve(undefined);
      const next = await Promise.race([source.next(), aborted]);
      if (next === undefined || next.done === true) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
