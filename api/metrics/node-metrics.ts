/**
 * The node's metrics as OpenTelemetry has them, collected when asked. They come as sums and histograms that the shards
 * keep anyway, so there is no instrument, no registry and nothing to pay between two questions.
 */
import type { HrTime } from "@opentelemetry/api";
import { ValueType } from "@opentelemetry/api";
import { millisToHrTime } from "@opentelemetry/core";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type CollectionResult,
  type DataPoint,
  DataPointType,
  type MetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import type { HistogramRecord } from "../../inference/histogram.ts";
import type { Node } from "../../runtime/node/node.ts";
import { TIDEMARK_VERSION } from "../../runtime/own-package.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { MODEL_METRICS, type ModelMetric } from "./inference-metrics.ts";
import { type Metric, type Part, SHARD_METRICS } from "./shard-metrics.ts";

/** A count that outlives the process began at a moment that nobody knows: OpenTelemetry writes 0 for that. */
const UNKNOWN_START: HrTime = [0, 0];

/** Whose metrics they are. */
export function resourceOf(node: Node): Resource {
  return resourceFromAttributes({ "service.name": "tidemark", "service.version": TIDEMARK_VERSION, "service.instance.id": node.id });
}

export class NodeMetrics implements MetricProducer {
  readonly #node: Node;
  readonly #startedAt = millisToHrTime(performance.timeOrigin);

  constructor(node: Node) {
    this.#node = node;
  }

  async collect(): Promise<CollectionResult> {
    const reports = await this.#node.shardsHere();
    const now = Date.now();
    const resource = resourceOf(this.#node);
    const all = [
      ...SHARD_METRICS.map((metric) => this.#ofShards(metric, reports, now)),
      ...MODEL_METRICS.map((metric) => this.#ofModels(metric, now)),
      this.#jobVersions(now),
      this.#scrubFindings(now),
      this.#markDifferences(now),
    ];
    const metrics = all.filter(({ dataPoints }) => dataPoints.length > 0);
    return {
      resourceMetrics: { resource, scopeMetrics: [{ scope: { name: "tidemark", version: TIDEMARK_VERSION }, metrics }] },
      errors: [],
    };
  }

  #ofShards(metric: Metric, reports: readonly ShardReport[], now: number): MetricData {
    const points = new Points(metric, now);
    for (const report of reports) {
      const value = metric.read(report, now);
      const attributes = { job: report.job, shard: String(report.shard), ...metric.labels?.(report) };
      const sinceStart = metric.sinceStart === true || metric.kind === "histogram";
      if (value !== undefined) points.add(value, attributes, sinceStart ? this.#startedAt : UNKNOWN_START);
    }
    return points.toData();
  }

  #ofModels(metric: ModelMetric, now: number): MetricData {
    const points = new Points(metric, now);
    const { startedAt = 0, models = [] } = this.#node.models.measures ?? {};
    for (const measures of models) {
      const value = metric.read(measures);
      const attributes = { model: measures.model, version: String(measures.version) };
      if (value !== undefined) points.add(value, attributes, metric.kind === "gauge" ? UNKNOWN_START : millisToHrTime(startedAt));
    }
    return points.toData();
  }

  #scrubFindings(now: number): MetricData {
    return {
      descriptor: {
        name: "tidemark.scrub.findings",
        description: "Rows that the last scrub found damaged",
        unit: "{finding}",
        valueType: ValueType.DOUBLE,
      },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPointType: DataPointType.GAUGE,
      dataPoints: this.#pointsOf(now, UNKNOWN_START, (job, shard) => this.#node.verification.findingsOf(job, shard)),
    };
  }

  #markDifferences(now: number): MetricData {
    return {
      descriptor: {
        name: "tidemark.standby.differences",
        description: "Marks at which the state of a standby of this node was not that of its owner",
        unit: "{mark}",
        valueType: ValueType.DOUBLE,
      },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPointType: DataPointType.SUM,
      isMonotonic: true,
      dataPoints: this.#pointsOf(now, this.#startedAt, (job, shard) => this.#node.care.differencesOf(job, shard)),
    };
  }

  /** Of shards of which there is something to say. */
  #pointsOf(now: number, startTime: HrTime, read: (job: string, shard: number) => number | undefined): DataPoint<number>[] {
    const endTime = millisToHrTime(now);
    const points: DataPoint<number>[] = [];
    for (const { job, map } of this.#node.jobs)
      for (let shard = 0; shard < map.partitions; shard++) {
        const value = read(job.name, shard);
        if (value !== undefined) points.push({ startTime, endTime, attributes: { job: job.name, shard: String(shard) }, value });
      }
    return points;
  }

  #jobVersions(now: number): MetricData {
    return {
      descriptor: { name: "tidemark.job.version", description: "Version of the job's code", unit: "1", valueType: ValueType.DOUBLE },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPointType: DataPointType.GAUGE,
      dataPoints: this.#node.jobs.map(({ job }) => ({
        startTime: UNKNOWN_START,
        endTime: millisToHrTime(now),
        attributes: { job: job.name },
        value: job.version,
      })),
    };
  }
}

/** The points of one metric, of whichever kind it is. */
class Points {
  readonly #metric: Metric | ModelMetric;
  readonly #endTime: HrTime;
  readonly #numbers: DataPoint<number>[] = [];
  readonly #histograms: MetricHistogramPoint[] = [];

  constructor(metric: Metric | ModelMetric, now: number) {
    this.#metric = metric;
    this.#endTime = millisToHrTime(now);
  }

  add(value: number | HistogramRecord | readonly Part[], attributes: Readonly<Record<string, string>>, startTime: HrTime): void {
    const endTime = this.#endTime;
    if (typeof value === "number") this.#numbers.push({ startTime, endTime, attributes, value });
    else if ("bounds" in value) this.#histograms.push({ startTime, endTime, attributes, value: histogramOf(value) });
    else
      for (const part of value)
        this.#numbers.push({ startTime, endTime, attributes: { ...attributes, ...part.labels }, value: part.value });
  }

  toData(): MetricData {
    const { name, description, unit, kind } = this.#metric;
    const base = {
      descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
    };
    if (kind === "histogram") return { ...base, dataPointType: DataPointType.HISTOGRAM, dataPoints: this.#histograms };
    if (kind === "gauge") return { ...base, dataPointType: DataPointType.GAUGE, dataPoints: this.#numbers };
    return { ...base, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints: this.#numbers };
  }
}

type MetricHistogramPoint = Extract<MetricData, { dataPointType: DataPointType.HISTOGRAM }>["dataPoints"][number];

function histogramOf({ bounds, counts, sum }: HistogramRecord): MetricHistogramPoint["value"] {
  const count = counts.reduce((total, each) => total + each, 0);
  return { buckets: { boundaries: [...bounds], counts: [...counts] }, sum, count };
}
