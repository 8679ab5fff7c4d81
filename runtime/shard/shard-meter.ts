/**
 * What a shard measures of itself while it runs. It decides nothing: a shard without it folds the same.
 *
 * All of it is cheap per entry and bounded: an output that is on its way takes two numbers in a ring, and beyond the
 * ring it is not measured.
 */
import type { LogEntry } from "../../actors/fold/entry.ts";
import { Histogram, type HistogramRecord } from "../../inference/histogram.ts";
import type { Clock } from "../clock.ts";
import { HotKey } from "./hot-key.ts";

/** Plain, for it crosses threads. Since the shard's start in this process. */
export interface ShardMeasures {
  /** Seconds of a step that folded something. */
  readonly stepDuration: HistogramRecord;
  /** Seconds from an entry's timestamp in the log to the acknowledgement of its last output, by this machine's clock. */
  readonly eventLatency: HistogramRecord;
  /** Share of the last 10 to 20 s in which the shard waited for outputs or a commit. */
  readonly backpressureRatio: number;
  /** Share of the busiest key among sampled single events; `null` before there were enough. */
  readonly hotKeyShare: number | null;
}

const STEP_BOUNDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
const LATENCY_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const RING = 8_192;
const WINDOW_MS = 10_000;

export class ShardMeter {
  readonly #clock: Clock;
  readonly #steps = new Histogram(STEP_BOUNDS);
  readonly #latency = new Histogram(LATENCY_BOUNDS);
  readonly #hotKey = new HotKey();
  /** Output k and the log time of its entry, for outputs that are on their way, by k. */
  readonly #outputs = new Float64Array(RING);
  readonly #logTimes = new Float64Array(RING);
  #first = 0;
  #count = 0;
  #measured: number;
  #stored = 0;
  #window: { readonly from: number; blockedMs: number };
  #windowBefore: { readonly from: number; readonly blockedMs: number };

  /** `outputs`: numbered before this start. */
  constructor(clock: Clock, outputs: number) {
    this.#clock = clock;
    this.#measured = outputs;
    this.#window = { from: clock.monotonic(), blockedMs: 0 };
    this.#windowBefore = this.#window;
  }

  stepped(ms: number): void {
    this.#steps.record(ms / 1000);
  }

  blocked(ms: number): void {
    this.#turnWindow();
    this.#window.blockedMs += ms;
  }

  /**
   * An entry is folded, and `outputs` are numbered since the shard began. Those up to `comparingUntil` were stored
   * before: they are made again, compared and not measured.
   */
  folded({ subject, logTime }: LogEntry, outputs: number, comparingUntil = 0): void {
    this.#hotKey.see(subject);
    if (outputs === this.#measured) return;
    this.#measured = outputs;
    if (outputs <= comparingUntil || this.#count === RING) return;
    const at = (this.#first + this.#count) % RING;
    this.#outputs[at] = outputs;
    this.#logTimes[at] = logTime;
    this.#count++;
    // An entry of many units may end behind the acknowledgement of what it gave.
    if (outputs <= this.#stored) this.stored(this.#stored);
  }

  /** Output `k` and all before it are known to be stored. */
  stored(k: number): void {
    this.#stored = k;
    if (this.#count === 0 || this.#outputs[this.#first]! > k) return;
    const now = this.#clock.now();
    while (this.#count > 0 && this.#outputs[this.#first]! <= k) {
      // Two machines' clocks: an output cannot be stored before its event.
      this.#latency.record(Math.max(0, now - this.#logTimes[this.#first]!) / 1000);
      this.#first = (this.#first + 1) % RING;
      this.#count--;
    }
  }

  toRecord(): ShardMeasures {
    this.#turnWindow();
    const passed = this.#clock.monotonic() - this.#windowBefore.from;
    const blockedMs = this.#window.blockedMs + (this.#windowBefore === this.#window ? 0 : this.#windowBefore.blockedMs);
    return {
      stepDuration: this.#steps.toRecord(),
      eventLatency: this.#latency.toRecord(),
      backpressureRatio: passed > 0 ? Math.min(1, blockedMs / passed) : 0,
      hotKeyShare: this.#hotKey.share ?? null,
    };
  }

  #turnWindow(): void {
    const now = this.#clock.monotonic();
    const age = now - this.#window.from;
    if (age < WINDOW_MS) return;
    // A window that ended long ago says nothing of the present.
    this.#windowBefore = age < 2 * WINDOW_MS ? this.#window : { from: now - WINDOW_MS, blockedMs: 0 };
    this.#window = { from: now, blockedMs: 0 };
  }
}
