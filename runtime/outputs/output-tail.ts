/**
 * The end of one shard's outputs, read once for all who follow it. It reads only while somebody waits behind the end, and
 * keeps the last outputs, within its bounds, for those who are a little behind. Who is further behind reads pages.
 *
 * Invariant: what is kept has no hole. Every read begins where the one before ended, and gives a prefix of what there is.
 */
import { type Clock, systemClock } from "../clock.ts";
import type { OutputReader } from "./output-reader.ts";
import type { Output } from "./output-stream.ts";

export interface OutputTailOptions {
  /** Between two looks at an end where nothing came. Default 100 ms. */
  readonly pollMs?: number;
  /** Default 1,000. */
  readonly outputsKept?: number;
  /** Payload bytes. Default 1 MiB, one output over. */
  readonly bytesKept?: number;
  readonly clock?: Clock;
}

const POLL_MS = 100;
/** After a read that failed: NATS is away. */
const RETRY_MS = 1_000;
const OUTPUTS_KEPT = 1_000;
const BYTES_KEPT = 1024 * 1024;
const PAGE = 500;

interface Waiter {
  readonly from: number;
  readonly arrived: () => void;
}

export class OutputTail {
  readonly #reader: OutputReader;
  readonly #job: string;
  readonly #partition: number;
  readonly #options: Required<OutputTailOptions>;
  readonly #waiters = new Set<Waiter>();
  /** Without a hole from `#first` to before `#end`; 0 until the first read. */
  #kept: Output[] = [];
  #keptBytes = 0;
  #first = 0;
  #end = 0;
  #running = false;

  constructor(reader: OutputReader, job: string, partition: number, options: OutputTailOptions = {}) {
    this.#reader = reader;
    this.#job = job;
    this.#partition = partition;
    this.#options = {
      pollMs: options.pollMs ?? POLL_MS,
      outputsKept: options.outputsKept ?? OUTPUTS_KEPT,
      bytesKept: options.bytesKept ?? BYTES_KEPT,
      clock: options.clock ?? systemClock,
    };
  }

  /** Up to `limit` outputs from number `from` on; `undefined` when it is not known here what is there. Empty: nothing has come yet. */
  read(from: number, limit: number): readonly Output[] | undefined {
    if (from < this.#first || from > this.#end || this.#end === 0) return undefined;
    const at = this.#kept.findIndex(({ k }) => k >= from);
    return at === -1 ? [] : this.#kept.slice(at, at + limit);
  }

  /** Calls `arrived` once, when there may be outputs from number `from` on. Call what is returned to stop waiting. */
  wait(from: number, arrived: () => void): () => void {
    const waiter = { from, arrived };
    // Nobody needs what lies between: the tail begins anew where it is wanted.
    if (this.#waiters.size === 0 && !this.#running && from > this.#end) this.#restart(from);
    this.#waiters.add(waiter);
    if (from < this.#end) queueMicrotask(() => this.#wake());
    else void this.#follow();
    return () => this.#waiters.delete(waiter);
  }

  async #follow(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    const { clock, pollMs } = this.#options;
    while (this.#waiters.size > 0) {
      try {
        const { items } = await this.#reader.page(this.#job, this.#partition, {
          from: this.#end,
          limit: PAGE,
          bytesMax: this.#options.bytesKept,
        });
        this.#keep(items);
        this.#wake();
        if (items.length === 0) await clock.sleep(pollMs);
      } catch {
        // NATS is away; whoever waits is told by their own reads, or waits until it is back.
        await clock.sleep(RETRY_MS);
      }
    }
    this.#running = false;
  }

  #keep(outputs: readonly Output[]): void {
    const last = outputs.at(-1);
    if (last === undefined) return;
    const { outputsKept, bytesKept } = this.#options;
    for (const output of outputs) {
      this.#kept.push(output);
      this.#keptBytes += output.payload.length;
    }
    let gone = 0;
    while (this.#kept.length - gone > 1 && (this.#kept.length - gone > outputsKept || this.#keptBytes > bytesKept)) {
      this.#keptBytes -= this.#kept[gone]!.payload.length;
      gone++;
    }
    if (gone > 0) this.#first = this.#kept[gone - 1]!.k + 1;
    this.#kept.splice(0, gone);
    this.#end = last.k + 1;
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) {
      if (waiter.from >= this.#end) continue;
      this.#waiters.delete(waiter);
      waiter.arrived();
    }
  }

  #restart(from: number): void {
    this.#kept = [];
    this.#keptBytes = 0;
    this.#first = from;
    this.#end = from;
  }
}
