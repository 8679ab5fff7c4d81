/**
 * The metrics of models: names, meaning, and where each comes from. One table as that of the shards, of what the
 * node's inference process measures. Labels are model, version, code and cache; never a key, never a payload.
 */

import type { HistogramRecord } from "../../inference/histogram.ts";
import type { ModelMeasures } from "../../inference/service/model-meter.ts";
import type { Part } from "./shard-metrics.ts";

export interface ModelMetric {
  readonly name: string;
  readonly description: string;
  /** UCUM. */
  readonly unit: string;
  /** Counters and histograms begin anew with each start of the process. */
  readonly kind: "counter" | "gauge" | "histogram";
  /** `undefined`: this version has nothing to say. */
  readonly read: (measures: ModelMeasures) => number | HistogramRecord | readonly Part[] | undefined;
}

export const MODEL_METRICS: readonly ModelMetric[] = [
  {
    name: "tidemark.inference.duration",
    description: "In the inference process, from when a version was asked to its answer or failure, with waiting and repetitions",
    unit: "s",
    kind: "histogram",
    read: ({ duration }) => duration,
  },
  {
    name: "tidemark.inference.queue",
    description: "Inputs that wait to be run, behind limits and places",
    unit: "{input}",
    kind: "gauge",
    read: ({ queued }) => queued,
  },
  {
    name: "tidemark.inference.errors",
    description: "Inferences that failed, by code",
    unit: "{inference}",
    kind: "counter",
    read: ({ errors }) => Object.entries(errors).map(([code, value]) => ({ labels: { code }, value })),
  },
  {
    name: "tidemark.inference.slo_breaches",
    description: "Inferences without an answer within the sloMs of the version; of versions that have one",
    unit: "{inference}",
    kind: "counter",
    read: ({ sloBreaches }) => sloBreaches ?? undefined,
  },
  {
    name: "tidemark.inference.confidence",
    description: "Of answers of a version that says which field is its confidence",
    unit: "1",
    kind: "histogram",
    read: ({ confidence }) => (confidence.counts.some((count) => count > 0) ? confidence : undefined),
  },
  {
    name: "tidemark.inference.cache_hits",
    description: "Answers from the cache: of an equal input (exact) or of a text that is near enough (semantic)",
    unit: "{inference}",
    kind: "counter",
    read: ({ cached }) => Object.entries(cached).flatMap(([cache, value]) => (value === 0 ? [] : [{ labels: { cache }, value }])),
  },
];
