/** The node's metrics as Prometheus reads them. Loaded when first asked for. */
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import type { Node } from "../../runtime/node/node.ts";
import { NodeMetrics } from "./node-metrics.ts";

export class PrometheusPage {
  readonly #metrics: NodeMetrics;
  /** No prefix, no timestamps, no scope labels: who scrapes adds what is the same everywhere. */
  readonly #serializer = new PrometheusSerializer("", false, undefined, false, true);

  constructor(node: Node) {
    this.#metrics = new NodeMetrics(node);
  }

  async text(): Promise<string> {
    const { resourceMetrics } = await this.#metrics.collect();
    return this.#serializer.serialize(resourceMetrics);
  }
}
