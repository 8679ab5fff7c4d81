/**
 * The node's metrics pushed by OTLP over HTTP, when OTEL_EXPORTER_OTLP_ENDPOINT asks for it. Endpoint, headers, timeout
 * and compression are read from the standard OTEL_ variables by the exporter. A collector that is away costs nothing but
 * the figures of that time: the exporter gives up a push after its timeout and the next one has the sums.
 */
import { format } from "node:util";
import { DiagLogLevel, diag } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { Node } from "../../runtime/node/node.ts";
import { NodeMetrics } from "./node-metrics.ts";

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
  });
  reader.setMetricProducer(new NodeMetrics(node));
  return async () => {
    await reader.shutdown({ timeoutMillis: LAST_PUSH_MS }).catch(() => {});
  };
}

/** The exporter hands over a whole error as JSON, its stack included. */
function shortened(text: string): string {
  const message = /"message":"([^"]{1,200})/.exec(text)?.[1];
  return (message ?? text).slice(0, 200);
}
