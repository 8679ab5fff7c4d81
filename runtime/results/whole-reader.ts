/**
 * Reads a log and brings the results of its entries that stand beside it, ahead of whoever takes them and in order.
 *
 * Invariants: an entry is given out when its results are there and all before it were; what is brought and not taken is at
 * most {@link AHEAD_MAX_BYTES}, or one entry; nothing is read further while an entry that was read is waited for.
 */
import type { LogEntry } from "../../actors/fold/entry.ts";
import { systemClock } from "../clock.ts";
import type { LogReader } from "../log/partition-log.ts";
import { AHEAD_MAX_BYTES } from "./bounds.ts";

/** What of an entry is away: how much it is, and how it comes. */
export interface AwayIn {
  readonly bytes: number;
  readonly bring: (signal: AbortSignal) => Promise<LogEntry>;
}

interface Held {
  /** The entry, as soon as it is whole. */
  entry: LogEntry | undefined;
  readonly away: AwayIn | undefined;
  coming: Promise<void> | undefined;
  failure: { readonly error: unknown } | undefined;
}

export class WholeReader implements LogReader {
  readonly #reader: LogReader;
  readonly #awayIn: (entry: LogEntry) => AwayIn | undefined;
  /** Read and not given out; its first one is waited for. */
  #held: Held[] = [];
  /** Of what is on its way, or there and not given out. */
  #bytes = 0;
  readonly #closed = new AbortController();

  constructor(reader: LogReader, awayIn: (entry: LogEntry) => AwayIn | undefined) {
    this.#reader = reader;
    this.#awayIn = awayIn;
  }

  take(maxEntries: number): LogEntry[] {
    if (this.#closed.signal.aborted) return [];
    if (this.#held.length === 0) {
      const entries = this.#reader.take(maxEntries);
      const first = this.#holdBack(entries);
      if (first > 0) return first === entries.length ? entries : entries.slice(0, first);
    }
    const ready: LogEntry[] = [];
    for (const { entry, away } of this.#held) {
      if (entry === undefined || ready.length === maxEntries) break;
      ready.push(entry);
      this.#bytes -= away?.bytes ?? 0;
    }
    const [head] = this.#held;
    if (ready.length === 0 && head?.failure !== undefined) throw head.failure.error;
    this.#held.splice(0, ready.length);
    this.#bring();
    return ready;
  }

  async readable(timeoutMs: number): Promise<void> {
    const [head] = this.#held;
    if (head === undefined) {
      await this.#reader.readable(timeoutMs);
      return;
    }
    if (head.entry !== undefined || head.failure !== undefined || this.#closed.signal.aborted) return;
    const over = new AbortController();
    await Promise.race([head.coming, systemClock.sleep(timeoutMs, over.signal)]);
    over.abort();
  }

  backlog(): number {
    return this.#held.length + this.#reader.backlog();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#held = [];
    await this.#reader.close();
  }

  /** Holds the entries from the first one on of which something is away; gives how many lie before it. */
  #holdBack(entries: readonly LogEntry[]): number {
    for (let i = 0; i < entries.length; i++) {
      const away = this.#awayIn(entries[i]!);
      if (away === undefined) continue;
      this.#held = entries.slice(i).map((entry, n) => heldOf(entry, n === 0 ? away : this.#awayIn(entry)));
      this.#bring();
      return i;
    }
    return entries.length;
  }

  #bring(): void {
    for (const held of this.#held) {
      const { away } = held;
      if (away === undefined || held.coming !== undefined) continue;
      if (this.#bytes > 0 && this.#bytes + away.bytes > AHEAD_MAX_BYTES) return;
      this.#bytes += away.bytes;
      held.coming = away.bring(this.#closed.signal).then(
        (entry) => {
          held.entry = entry;
        },
        (error: unknown) => {
          held.failure = { error };
        },
      );
    }
  }
}

function heldOf(entry: LogEntry, away: AwayIn | undefined): Held {
  return { entry: away === undefined ? entry : undefined, away, coming: undefined, failure: undefined };
}
