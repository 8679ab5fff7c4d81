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
import { TIDEMARK_VERSION } from "../../runtime/app.ts";
import type { Node } from "../../runtime/node/node.ts";
import type { HistogramRecord } from "../../runtime/shard/histogram.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { type Metric, SHARD_METRICS } from "./shard-metrics.ts";

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
    const reports = await this.#node.shards();
    const now = Date.now();
    const resource = resourceOf(this.#node);
    const all = [...SHARD_METRICS.map((metric) => this.#ofShards(metric, reports, now)), this.#jobVersions(now), this.#scrubFindings(now)];
    const metrics = all.filter(({ dataPoints }) => dataPoints.length > 0);
    return {
      resourceMetrics: { resource, scopeMetrics: [{ scope: { name: "tidemark", version: TIDEMARK_VERSION }, metrics }] },
      errors: [],
    };
  }

  #ofShards(metric: Metric, reports: readonly ShardReport[], now: number): MetricData {
    const numbers: DataPoint<number>[] = [];
    const histograms: MetricHistogramPoint[] = [];
    for (const report of reports) {
      const value = metric.read(report, now);
      if (value === undefined) continue;
      const attributes = { job: report.job, shard: String(report.shard), ...metric.labels?.(report) };
      const endTime = millisToHrTime(now);
      const startTime = metric.sinceStart === true ? this.#startedAt : UNKNOWN_START;
      if (typeof value === "number") numbers.push({ startTime, endTime, attributes, value });
      else if ("bounds" in value) histograms.push({ startTime: this.#startedAt, endTime, attributes, value: histogramOf(value) });
      else for (const part of value) numbers.push({ startTime, endTime, attributes: { ...attributes, ...part.labels }, value: part.value });
    }
    const { name, description, unit } = metric;
    const base = {
      descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
    };
    if (metric.kind === "histogram") return { ...base, dataPointType: DataPointType.HISTOGRAM, dataPoints: histograms };
    if (metric.kind === "gauge") return { ...base, dataPointType: DataPointType.GAUGE, dataPoints: numbers };
    return { ...base, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints: numbers };
  }

  #scrubFindings(now: number): MetricData {
    const endTime = millisToHrTime(now);
    const dataPoints = this.#node.jobs.flatMap(({ job, map }) =>
      Array.from({ length: map.partitions }, (_, shard) => ({ shard, value: this.#node.verification.findingsOf(job.name, shard) })).flatMap(
        ({ shard, value }) =>
          value === undefined ? [] : [{ startTime: UNKNOWN_START, endTime, attributes: { job: job.name, shard: String(shard) }, value }],
      ),
    );
    return {
      descriptor: {
        name: "tidemark.scrub.findings",
        description: "Rows that the last scrub found damaged",
        unit: "{finding}",
        valueType: ValueType.DOUBLE,
      },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPointType: DataPointType.GAUGE,
      dataPoints,
    };
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

type MetricHistogramPoint = Extract<MetricData, { dataPointType: DataPointType.HISTOGRAM }>["dataPoints"][number];

function histogramOf({ bounds, counts, sum }: HistogramRecord): MetricHistogramPoint["value"] {
  const count = counts.reduce((total, each) => total + each, 0);
  return { buckets: { boundaries: [...bounds], counts: [...counts] }, sum, count };
}
