/** Prometheus, the collector and Grafana: that they ask for what is there. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { readConfig } from "../../runtime/node/config.ts";
import { parsePrometheus } from "../metrics/prometheus-text.ts";
import { startApiNode } from "../support/api-node.ts";
import { ROOT } from "../support/doc-page.ts";
import { cloudEvent } from "../support/entries.ts";
import { untilShards } from "../support/node-process.ts";
import { plainComposeFile, read, readYaml } from "./deployment-files.ts";

const compose = plainComposeFile();
const nodes = Object.entries(compose.services).filter(([, { image }]) => image.startsWith("tidemark:"));
/** Of Prometheus itself. */
const OWN_METRICS = ["up"];

interface Scrape {
  readonly job_name: string;
  readonly honor_labels?: boolean;
  readonly authorization?: { readonly credentials_file: string };
  readonly static_configs: readonly { readonly targets: readonly string[] }[];
}

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly {
    readonly title: string;
    readonly datasource: { readonly uid: string };
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly targets: readonly { readonly expr: string }[];
  }[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition: string }[] };
}

const dashboards = readdirSync(join(ROOT, "deploy/grafana/dashboards")).map(
  (name) => JSON.parse(read(`deploy/grafana/dashboards/${name}`)) as Dashboard,
);

test("Prometheus reads the three nodes, with a token that it has", () => {
  const { scrape_configs: scrapes } = readYaml<{ readonly scrape_configs: readonly Scrape[] }>("deploy/prometheus/prometheus.yml");
  const scrape = scrapes.find(({ job_name }) => job_name === "tidemark")!;
  assert.deepEqual(
    scrape.static_configs.flatMap(({ targets }) => targets),
    nodes.map(([name, { environment }]) => `${name}:${readConfig(environment ?? {}).httpPort}`),
  );
  assert.equal(scrape.honor_labels, true, "the label job is that of the node's metrics");
  const { secrets = [], volumes = [], command = [] } = compose.services.prometheus!;
  assert.ok(secrets.map((name) => `/run/secrets/${name}`).includes(scrape.authorization!.credentials_file));
  assert.ok(volumes.includes("./deploy/prometheus/prometheus.yml:/etc/prometheus/prometheus.yml:ro"));
  assert.ok(command.includes("--config.file=/etc/prometheus/prometheus.yml"));
});

test("the collector listens where nodes push, and its pipelines are made of what it has", () => {
  const config = readYaml<Record<string, Record<string, unknown>>>("deploy/otel-collector/config.yaml");
  const { receivers, processors, exporters, service } = config;
  const http = (receivers!.otlp as { readonly protocols: { readonly http: { readonly endpoint: string } } }).protocols.http;
  for (const [, { environment }] of nodes)
    assert.equal(readConfig(environment ?? {}).otlpEndpoint, `http://otel-collector:${http.endpoint.split(":")[1]}`);
  const pipelines = Object.values(service!.pipelines as Record<string, Record<string, readonly string[]>>);
  assert.ok(pipelines.length > 0);
  for (const pipeline of pipelines) {
    for (const [part, names] of Object.entries({ receivers, processors, exporters }))
      for (const name of pipeline[part]!) assert.ok(name in names!, name);
  }
});

test("Grafana finds its dashboards and Prometheus, and no panel lies on another", () => {
  const { datasources } = readYaml<{ readonly datasources: readonly { readonly uid: string; readonly url: string }[] }>(
    "deploy/grafana/provisioning/datasources/prometheus.yaml",
  );
  assert.deepEqual(
    datasources.map(({ uid, url }) => [uid, url]),
    [["prometheus", "http://prometheus:9090"]],
  );
  const { providers } = readYaml<{ readonly providers: readonly { readonly options: { readonly path: string } }[] }>(
    "deploy/grafana/provisioning/dashboards/tidemark.yaml",
  );
  const { volumes = [] } = compose.services.grafana!;
  for (const { options } of providers) assert.ok(volumes.includes(`./deploy/grafana/dashboards:${options.path}:ro`));
  for (const { panels } of dashboards) {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    assert.equal(new Set(cells).size, cells.length);
    for (const { datasource } of panels) assert.equal(datasource.uid, "prometheus");
  }
});

test("every metric that a dashboard asks for is one of a node", { timeout: 120_000 }, async () => {
  const app = "../deploy/monitored-app.ts";
  const { url, nc } = await startApiNode(app, "echo", { TIDEMARK_SNAPSHOT_EVERY: "500ms" });
  const publisher = openLogPublisher(nc, "echo", (await readSlotMap(nc, "echo"))!);
  for (const key of ["a", "b", "c", "d", "e", "f"])
    await publisher.publish(key, cloudEvent({ id: "1", key, type: "echo.said", data: {} }) as never);
  publisher.close();
  await untilShards(url, (shards) => shards.filter(({ job }) => job === "echo").every(({ lastSnapshot }) => lastSnapshot !== null));
  const families = parsePrometheus(await (await fetch(`${url}/metrics`)).text());
  const there = new Set([...families.values()].flatMap(({ samples }) => samples.map(({ name }) => name)));
  const labels = new Set([...families.values()].flatMap(({ samples }) => samples.flatMap((sample) => Object.keys(sample.labels))));
  const asked = dashboards.flatMap(({ panels, templating }) => [
    ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ...templating.list.map(({ definition }) => definition),
  ]);
  assert.ok(asked.length > 10);
  for (const expr of asked) {
    const metrics = [...expr.matchAll(/\b(up|tidemark_\w+)/g)].map(([, name]) => name!);
    assert.ok(metrics.length > 0, expr);
    for (const name of metrics) assert.ok(there.has(name) || OWN_METRICS.includes(name), `${name} in ${expr}`);
    const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names]) => names!.split(", "));
    const matched = [...expr.matchAll(/(\w+)=~?"/g)].map(([, name]) => name!);
    for (const name of [...grouped, ...matched]) assert.ok(labels.has(name), `${name} in ${expr}`);
  }
});
