/**
 * The node's metrics pushed by OTLP over HTTP, when OTEL_EXPORTER_OTLP_ENDPOINT asks for it. Endpoint, headers, timeout
 * and compression are read from the standard OTEL_ variables by the exporter. A collector that is away costs nothing but
 * the figures of that time: the exporter gives up a push after its timeout and the next one has the sums.
 */
import { format } from "node:util";
import { DiagLogLevel, diag } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { envDetector } from "@opentelemetry/resources";
import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { systemClock } from "../../runtime/clock.ts";
import type { Node } from "../../runtime/node/node.ts";
import { NodeMetrics, resourceOf } from "./node-metrics.ts";

const PUSH_TIMEOUT_MS = 10_000;
/** A drain does not wait longer for a collector. */
const LAST_PUSH_MS = 2_000;

/** Pushes every `intervalMs` until the returned function is called, which pushes once more. Never throws. */
export function startOtlpExport(node: Node, intervalMs: number, notice: (message: string) => void): () => Promise<void> {
  const silent = (): void => {};
  const error = (message: string, ...args: unknown[]): void => notice(`metrics were not pushed: ${shortened(format(message, ...args))}`);
  diag.setLogger({ error, warn: silent, info: silent, debug: silent, verbose: silent }, DiagLogLevel.ERROR);
  const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter(),
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: Math.min(intervalMs, PUSH_TIMEOUT_MS),
    metricProducers: [new NodeMetrics(node)],
  });
  // Metrics only: without these two the endpoint alone would start a pipeline of spans and one of logs.
  const sdk = new NodeSDK({
    resource: resourceOf(node),
    resourceDetectors: [envDetector],
    metricReaders: [reader],
    spanProcessors: [],
    logRecordProcessors: [],
  });
  sdk.start();
  return async () => {
    const late = systemClock.sleep(LAST_PUSH_MS);
    await Promise.race([sdk.shutdown(), late]).catch(() => {});
  };
}

/** The exporter hands over a whole error as JSON, its stack included. */
function shortened(text: string): string {
  const message = /"message":"([^"]{1,200})/.exec(text)?.[1];
  return (message ?? text).slice(0, 200);
}
