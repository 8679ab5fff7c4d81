/** `/metrics` for Prometheus. */
import type { Node } from "../../runtime/node/node.ts";
import type { PrometheusPage } from "../metrics/prometheus.ts";
import type { Route } from "./route.ts";

export function metricsRoutes(node: Node): readonly Route[] {
  let page: Promise<PrometheusPage> | undefined;
  return [
    {
      method: "GET",
      path: "/metrics",
      role: "viewer",
      summary: "Metrics as Prometheus reads them",
      essential: true,
      answers: { 200: "text/plain; version=0.0.4; charset=utf-8" },
      handle: async () => {
        // A node that nobody scrapes does not load what writes them.
        page ??= import("../metrics/prometheus.ts").then(({ PrometheusPage }) => new PrometheusPage(node));
        return { status: 200, body: await (await page).text() };
      },
    },
  ];
}
