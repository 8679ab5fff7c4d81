/**
 * Brings together what a replay gives and what was published, at the pace of the slower one, and counts.
 *
 * Of what was published only that is compared whose entry the replay has read: so a range that ends early compares
 * nothing beyond its end. What a job that runs has not published yet is waited for, for a while.
 */
import { type Clock, systemClock } from "../clock.ts";
import { type ComparedOutput, comparePlaces, type OutputPlace, placeOfOutput } from "./compared-output.ts";
import type { DiffCounts, OutputDiff } from "./output-diff.ts";
import type { Gate } from "./replayed-log.ts";

/** What was published, in its order. */
export interface PublishedPages {
  /** Outputs up to this place are gone, or may be. */
  readonly trimmedTo: OutputPlace | undefined;
  /** Empty when nothing more is there by now. */
  next(): Promise<readonly ComparedOutput[]>;
}

export interface ComparisonOptions {
  readonly diff: OutputDiff;
  readonly published: PublishedPages;
  /** Sequence of the last entry that the replay has read. */
  readonly readUpTo: () => number;
  readonly clock?: Clock;
  /** How long outputs are waited for that the job has not published yet. Default 3 s. */
  readonly graceMs?: number;
}

export interface Compared extends DiffCounts {
  /** Outputs of the replay whose like is trimmed away. */
  readonly notCompared: number;
  /** The published ones ended before those of the replay: the job may not have come so far. */
  readonly publishedEndedFirst: boolean;
}

/** Outputs of the replay that may wait for what was published. */
const WAITING_MAX = 20_000;
const WAITING_BYTES_MAX = 16 * 1024 * 1024;
const POLL_MS = 100;
const GRACE_MS = 3_000;

export class OutputComparison implements Gate {
  readonly #options: Required<ComparisonOptions>;
  readonly #done: Promise<void>;
  #waiters: (() => void)[] = [];
  /** Read and not given to the diff: their entries are not replayed yet. */
  #held: readonly ComparedOutput[] = [];
  #replayEnded = false;
  #abandoned = false;
  #publishedEnded = false;
  #publishedEndedFirst = false;
  #notCompared = 0;
  #failure: unknown;

  constructor(options: ComparisonOptions) {
    this.#options = { clock: systemClock, graceMs: GRACE_MS, ...options };
    this.#done = this.#run().catch((error: unknown) => {
      this.#failure = error;
      this.#wake();
    });
  }

  /** Also when the comparison failed: the replay must get to where that is told. */
  get open(): boolean {
    const { replayed, replayedBytes } = this.#options.diff.waiting;
    return this.#failure !== undefined || (replayed < WAITING_MAX && replayedBytes < WAITING_BYTES_MAX);
  }

  /** What the replay gives, in its order. */
  replayed(outputs: readonly ComparedOutput[]): void {
    const { diff, published } = this.#options;
    const { trimmedTo } = published;
    if (trimmedTo === undefined) diff.replayed(outputs);
    else {
      const kept = outputs.filter(({ payload }) => comparePlaces(placeOfOutput(payload)!, trimmedTo) > 0);
      this.#notCompared += outputs.length - kept.length;
      diff.replayed(kept);
    }
    this.#wake();
  }

  /** The replay gives no more: compares what is left. Throws what made the published outputs unreadable. */
  async end(): Promise<Compared> {
    this.#replayEnded = true;
    this.#wake();
    await this.#done;
    if (this.#failure !== undefined) throw this.#failure;
    return { ...this.#options.diff.counts, notCompared: this.#notCompared, publishedEndedFirst: this.#publishedEndedFirst };
  }

  /** The replay did not come to its end: what was compared so far. */
  async abandon(): Promise<Compared> {
    this.#abandoned = true;
    this.#publishedEnded = true;
    this.#replayEnded = true;
    this.#wake();
    await this.#done;
    return { ...this.#options.diff.counts, notCompared: this.#notCompared, publishedEndedFirst: false };
  }

  async changed(timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    this.#waiters.push(resolve);
    await promise;
    clearTimeout(timer);
    this.#waiters = this.#waiters.filter((waiter) => waiter !== resolve);
  }

  async #run(): Promise<void> {
    const { diff } = this.#options;
    while (!this.#publishedEnded) {
      const wanted = this.#replayEnded || (diff.waiting.replayed > 0 && diff.waiting.published === 0);
      if (!wanted) {
        await this.changed(POLL_MS);
        continue;
      }
      // Only then is what the replay has read the end of the range.
      const ended = this.#replayEnded;
      if (await this.#bring()) continue;
      if (ended) this.#endPublished(false);
      else await this.changed(POLL_MS);
    }
    while (!this.#replayEnded) await this.changed(POLL_MS);
    if (!this.#abandoned) diff.endReplayed();
  }

  /** Gives the diff more of what was published; false when nothing more belongs to what the replay has read. */
  async #bring(): Promise<boolean> {
    const { diff, published, readUpTo } = this.#options;
    if (this.#held.length === 0) this.#held = await this.#nextPage();
    if (this.#held.length === 0) {
      this.#endPublished(diff.waiting.replayed > 0);
      return true;
    }
    const bound = readUpTo();
    const beyond = this.#held.findIndex(({ payload }) => (placeOfOutput(payload)?.sequence ?? 0) > bound);
    const now = beyond === -1 ? this.#held : this.#held.slice(0, beyond);
    this.#held = beyond === -1 ? [] : this.#held.slice(beyond);
    const { trimmedTo } = published;
    const kept = trimmedTo === undefined ? now : now.filter(({ payload }) => comparePlaces(placeOfOutput(payload)!, trimmedTo) > 0);
    diff.published(kept);
    this.#wake();
    return now.length > 0;
  }

  /** Empty when none came within the time of grace. */
  async #nextPage(): Promise<readonly ComparedOutput[]> {
    const { published, clock, graceMs, diff } = this.#options;
    for (const from = clock.monotonic(); ; ) {
      const page = await published.next();
      // Where the replay waits for nothing, nothing is missed.
      if (page.length > 0 || clock.monotonic() - from >= graceMs || (this.#replayEnded && diff.waiting.replayed === 0) || this.#abandoned)
        return page;
      await clock.sleep(POLL_MS);
    }
  }

  #endPublished(first: boolean): void {
    this.#publishedEndedFirst = first;
    this.#publishedEnded = true;
    this.#options.diff.endPublished();
    this.#wake();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}
