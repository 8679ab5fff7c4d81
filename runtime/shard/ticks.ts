/**
 * When a shard needs a tick: an empty entry that moves its processing time while timers wait and nothing else comes.
 */
import type { Fold } from "../../actors/fold/fold.ts";
import type { Meta } from "../../actors/fold/meta.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import type { FoldSettings } from "../../actors/model/job.ts";
import type { ShardParts } from "./shard-parts.ts";

/** At most one tick in this time. */
export const TICK_EVERY_MS = 100;

export class Ticker {
  readonly #parts: Pick<ShardParts, "clock" | "job" | "partition" | "log" | "notice">;
  readonly #fold: Fold;
  #last = 0;

  constructor(parts: Pick<ShardParts, "clock" | "job" | "partition" | "log" | "notice">, fold: Fold) {
    this.#parts = parts;
    this.#fold = fold;
  }

  /** Appends a tick when a timer waits for log time and nothing else brings it. */
  async tick(): Promise<void> {
    const { clock, job, partition, log, notice } = this.#parts;
    if (clock.monotonic() - this.#last < TICK_EVERY_MS) return;
    const fold = this.#fold;
    const due = tickDue(fold.meta, job.settings, fold.nextTimer("event"), fold.nextTimer("processing"));
    if (due === undefined || clock.now() < due) return;
    this.#last = clock.monotonic();
    try {
      await log.append(journalSubject(job.log, partition, job.name), new Uint8Array(0));
    } catch (error) {
      // A tick is only a push; when the log is full or away the shard folds on, and the next one tries again.
      notice(`${job.name}/${partition}: no tick could be appended: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/**
 * The log time at which the next waiting timer fires without any event; `undefined` when none would.
 * `nextEvent` and `nextProcessing` are the earliest timers of the two clocks.
 */
export function tickDue(
  meta: Meta,
  settings: FoldSettings,
  nextEvent: number | undefined,
  nextProcessing: number | undefined,
): number | undefined {
  const byEventTime = nextEvent === undefined ? undefined : idleReaches(meta, settings, nextEvent + 1);
  if (byEventTime === undefined) return nextProcessing;
  return nextProcessing === undefined ? byEventTime : Math.min(byEventTime, nextProcessing);
}

/** The log time at which idleness alone lifts the watermark to `watermark`. */
function idleReaches(meta: Meta, settings: FoldSettings, watermark: number): number | undefined {
  if (meta.watermark !== undefined && meta.watermark >= watermark) return meta.processingTime;
  if (settings.idle === "hold" || meta.idleSince === undefined || settings.pumps !== undefined) return undefined;
  const idle = meta.idleSince.processingTime + settings.idleAfterMs + (watermark - meta.idleSince.watermark);
  return Math.max(idle, watermark + settings.outOfOrdernessMs);
}
