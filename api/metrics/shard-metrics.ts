/**
 * The metrics of a node: names, meaning, and where each comes from (CONTRACT "Metrics"). One table, of which both
 * Prometheus and OTLP are made. Labels are job, shard, role, model and code; never a key, never a payload.
 */
import type { HistogramRecord } from "../../inference/histogram.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";

/** One of several values of a shard, with what tells it from the others. */
export interface Part {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Metric {
  /** OpenTelemetry's; Prometheus shows `_` for each dot, and `_total` behind counters. */
  readonly name: string;
  readonly description: string;
  /** UCUM. */
  readonly unit: string;
  /** A counter never falls, over restarts either: it is part of the shard's state, but for those with `sinceStart`. */
  readonly kind: "counter" | "gauge" | "histogram";
  /** `undefined`: this shard has nothing to say. */
  readonly read: (report: ShardReport, now: number) => number | HistogramRecord | readonly Part[] | undefined;
  /** A counter that begins anew with each start. */
  readonly sinceStart?: true;
  /** Beside job and shard. */
  readonly labels?: (report: ShardReport) => Readonly<Record<string, string>>;
}

export const SHARD_METRICS: readonly Metric[] = [
  count(
    "tidemark.events.in",
    "Events seen; each is also in exactly one of applied, duplicate, duplicate_conflict, late, quarantined, dead_lettered",
    "in",
  ),
  count("tidemark.events.applied", "Events given to handlers that succeeded", "applied"),
  count("tidemark.events.duplicate", "Events seen before with the same content", "duplicate"),
  count("tidemark.events.duplicate_conflict", "Events seen before with other content", "duplicateConflict"),
  count("tidemark.events.behind", "Of the applied events, those behind the watermark", "behind"),
  count("tidemark.events.late", "Events behind the watermark by more than the allowed lateness", "late"),
  count("tidemark.events.quarantined", "Entries that could not be read as a valid event", "quarantined"),
  count("tidemark.events.dead_lettered", "Events, and timers beside them, whose handler failed", "deadLettered"),
  count("tidemark.events.late_dropped", "Elements that came too late for a window that drops such", "lateDropped"),
  alerts("tidemark.alerts.emitted", "Alerts that handlers emitted", "alertsEmitted"),
  alerts("tidemark.alerts.suppressed", "Alerts that handlers did not emit because they had been", "alertsSuppressed"),
  {
    name: "tidemark.outputs",
    description: "Outputs that the output stream is known to have",
    unit: "{output}",
    kind: "counter",
    read: ({ outputsStored }) => outputsStored,
  },
  features("tidemark.features.written", "Entries of features written into the bucket", "{entry}", ({ written }) => written),
  features(
    "tidemark.features.failures",
    "Times that the keeping of features had to begin again, and entries that cannot be written",
    "{failure}",
    ({ failures }) => failures,
  ),
  gauge(
    "tidemark.features.lag",
    "Outputs of the stream behind the place up to which features are kept",
    "{output}",
    ({ features }) => features?.lag,
  ),
  gauge("tidemark.effects.pending", "Calls of effects that wait for their result", "{call}", ({ effects, pendingCalls }) =>
    effects === undefined ? undefined : pendingCalls,
  ),
  gauge("tidemark.effects.in_flight", "Calls of effects that are being made", "{call}", ({ effects }) => effects?.inFlight.length),
  {
    name: "tidemark.effects.attempts",
    description: "Attempts of calls of effects",
    unit: "{attempt}",
    kind: "counter",
    sinceStart: true,
    read: ({ effects }) => effects?.attempts,
  },
  {
    name: "tidemark.effects.errors",
    description: "Calls of effects that failed",
    unit: "{call}",
    kind: "counter",
    sinceStart: true,
    read: ({ effects }) => Object.entries(effects?.errors ?? {}).map(([code, value]) => ({ labels: { code }, value })),
  },
  {
    name: "tidemark.effects.duration",
    description: "From the first attempt of a call of an effect to its outcome",
    unit: "s",
    kind: "histogram",
    read: ({ effects }) => effects?.duration,
  },
  gauge(
    "tidemark.inference.pending",
    "Calls to models that the inference process was asked for and has not answered",
    "{call}",
    ({ effects }) => Object.entries(effects?.inFlightOfModels ?? {}).map(([model, value]) => ({ labels: { model }, value })),
  ),
  gauge("tidemark.consumer.lag", "Entries of the log known to wait behind the shard's position", "{entry}", ({ lag }) => lag),
  gauge("tidemark.pump.lag", "Entries and events known to wait for the pumps that run beside the shard", "{entry}", ({ pumps }) =>
    pumps?.reduce((sum, { lag }) => sum + lag, 0),
  ),
  gauge("tidemark.watermark.lag", "How far the watermark is behind this machine's clock", "s", ({ watermark }, now) =>
    watermark === null ? undefined : (now - Date.parse(watermark)) / 1000,
  ),
  gauge("tidemark.timers", "Timers that wait", "{timer}", ({ timers }) => timers),
  gauge("tidemark.state.bytes", "Pages of the shard's LMDB file in use", "By", ({ stateBytes }) => stateBytes),
  gauge("tidemark.actors", "Keys with a row", "{actor}", ({ actors }) => actors),
  {
    name: "tidemark.snapshot.duration",
    description: "Of snapshots that this node took of the shard, from the first look to the last blob read back",
    unit: "s",
    kind: "histogram",
    read: ({ snapshots }) => snapshots?.duration,
  },
  {
    name: "tidemark.snapshot.bytes",
    description: "Written by the snapshots that this node took of the shard",
    unit: "By",
    kind: "counter",
    sinceStart: true,
    read: ({ snapshots }) => snapshots?.bytes,
  },
  {
    name: "tidemark.snapshot.failures",
    description: "Snapshots of the shard that failed",
    unit: "{snapshot}",
    kind: "counter",
    sinceStart: true,
    read: ({ snapshots }) => snapshots?.failures,
  },
  gauge("tidemark.snapshot.age", "Since the last snapshot that this node took", "s", ({ lastSnapshot }, now) =>
    lastSnapshot === null ? undefined : (now - Date.parse(lastSnapshot.takenAt)) / 1000,
  ),
  gauge("tidemark.restore.duration", "Of the restore with which the shard began", "s", ({ restored }) =>
    restored === undefined ? undefined : restored.tookMs / 1000,
  ),
  {
    name: "tidemark.standby.rebuilds",
    description: "Times that this node built the state of a standby anew",
    unit: "{rebuild}",
    kind: "counter",
    sinceStart: true,
    read: ({ rebuilds }) => rebuilds,
  },
  {
    name: "tidemark.shard.role",
    description: "1 while the shard runs in this role on this node, 0 while it starts, stops or is halted",
    unit: "1",
    kind: "gauge",
    read: ({ status }) => (status === "running" ? 1 : 0),
    labels: ({ role }) => ({ role }),
  },
  gauge(
    "tidemark.backpressure.ratio",
    "Share of the last 10 to 20 s in which the shard waited for outputs or a commit",
    "1",
    ({ measures }) => measures?.backpressureRatio,
  ),
  gauge("tidemark.hot_key.share", "Share of the busiest key among sampled single events", "1", ({ measures }) =>
    measures?.hotKeyShare === null ? undefined : measures?.hotKeyShare,
  ),
  {
    name: "tidemark.step.duration",
    description: "Time of one step: a bounded batch of entries read, folded, published and perhaps sealed",
    unit: "s",
    kind: "histogram",
    read: ({ measures }) => measures?.stepDuration,
  },
  {
    name: "tidemark.event.latency",
    description: "From an entry's timestamp in the log to the acknowledgement of its last output; of entries that gave one",
    unit: "s",
    kind: "histogram",
    read: ({ measures }) => measures?.eventLatency,
  },
];

function count(name: string, description: string, field: string): Metric {
  return { name, description, unit: "{event}", kind: "counter", read: ({ counts }) => counts[field] };
}

function alerts(name: string, description: string, field: string): Metric {
  return { ...count(name, description, field), unit: "{alert}" };
}

function features(name: string, description: string, unit: string, read: (of: NonNullable<ShardReport["features"]>) => number): Metric {
  return { name, description, unit, kind: "counter", sinceStart: true, read: ({ features: of }) => of && read(of) };
}

function gauge(name: string, description: string, unit: string, read: Metric["read"]): Metric {
  return { name, description, unit, kind: "gauge", read };
}
