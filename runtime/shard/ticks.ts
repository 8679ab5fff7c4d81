/**
 * When a shard needs a tick: an empty entry that moves its processing time while timers wait and nothing else comes.
 */
import type { Meta } from "../../actors/fold/meta.ts";
import type { FoldSettings } from "../../actors/model/job.ts";

/** At most one tick in this time. */
export const TICK_EVERY_MS = 100;

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
