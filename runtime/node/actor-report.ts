/** One actor as the API answers it, now and as of any moment of the past. */
import { callId } from "../../actors/fold/call-row.ts";
import { jobAt } from "../../actors/fold/lineage.ts";
import type { Meta } from "../../actors/fold/meta.ts";
import type { StoredSize } from "../../actors/fold/stored-size.ts";
import type { Job } from "../../actors/model/job.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { formatInstant } from "../../actors/model/time.ts";
import type { ActorRecord } from "./actor-record.ts";
import type { ShardFolder } from "./state-reader.ts";

export interface ActorReport {
  readonly type: string;
  readonly key: string;
  readonly shard: number;
  readonly position: string;
  readonly watermark: string | null;
  readonly state: Readonly<Record<string, unknown>>;
  readonly timers: readonly {
    readonly name: string;
    readonly id: string;
    readonly at: string;
    readonly clock: string;
    readonly data: unknown;
    readonly armedBy: string;
  }[];
  /** What goes by itself, and when: the earliest, at most {@link EXPIRES_SHOWN} of the `expiring`. */
  readonly expires: readonly { readonly cell: string; readonly entry?: string; readonly at: string }[];
  readonly expiring: number;
  /** By cell: what it costs on disk. */
  readonly sizes: Readonly<Record<string, StoredSize>>;
  readonly dedupe: { readonly count: number; readonly oldest: string | null; readonly horizon: string };
  /** Its calls that wait for their result, in the order in which they were asked for. */
  readonly pending: readonly {
    readonly id: string;
    readonly effect: string;
    /** Position. */
    readonly requestedAt: string;
    readonly deadline: string;
  }[];
}

const EXPIRES_SHOWN = 1_000;

/** Of a state: the last entry in it, and its watermark. */
export function placeOf(
  place: Pick<ShardFolder, "partition">,
  { last, watermark }: Pick<Meta, "last" | "watermark">,
): Pick<ActorReport, "position" | "watermark"> {
  return {
    position: formatPosition(place.partition, last.sequence, last.index),
    watermark: watermark === undefined ? null : formatInstant(watermark),
  };
}

export function actorReport(
  place: Pick<ShardFolder, "partition">,
  job: Job,
  record: ActorRecord,
  meta: Pick<Meta, "last" | "watermark" | "epochRoot">,
): ActorReport {
  const { type, key, state, timers, expires, sizes, dedupe } = record;
  return {
    type,
    key,
    shard: place.partition,
    ...placeOf(place, meta),
    state,
    timers: timers.map((timer) => ({ ...timer, at: formatInstant(timer.at), data: timer.data ?? null })),
    expires: expires.slice(0, EXPIRES_SHOWN).map((expiry) => ({ ...expiry, at: formatInstant(expiry.at) })),
    expiring: expires.length,
    sizes,
    dedupe: {
      count: dedupe.count,
      oldest: dedupe.oldest === undefined ? null : formatInstant(dedupe.oldest),
      horizon: `${job.settings.dedupeHorizonMs}ms`,
    },
    pending: record.calls.map((call) => ({
      id: callId(jobAt(job, meta, call.address.sequence), place.partition, call),
      effect: call.effect,
      requestedAt: formatPosition(place.partition, call.address.sequence, call.address.index),
      deadline: formatInstant(call.deadline),
    })),
  };
}
