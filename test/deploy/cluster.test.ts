/**
 * The servers and nodes of docker-compose.yml as processes, started by the script that its readers use: events published through one
 * server are folded by all nodes, what they make of them arrives, and Ctrl-C ends everything.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { parseEnv } from "node:util";
import { connect } from "@nats-io/transport-node";
import { meterReadings } from "../../actors/meter/generate.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";

import { ROOT, type Running, run } from "../support/packed.ts";
import { manifests } from "./deployment-files.ts";

const DEVICES = 12;
const DAYS = 3;
const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 4, 4);
const SERVICES = ["nats-1", "nats-2", "nats-3", "tidemark-a", "tidemark-b", "tidemark-c"];

interface Probe {
  readonly httpGet: { readonly path: string };
}

interface StartedCluster {
  readonly folder: string;
  readonly urlOf: (service: string) => string;
  /** As admin. */
  readonly ask: <T>(url: string, init?: RequestInit) => Promise<T>;
  readonly script: Running;
}

test("three servers and three nodes share the work, and Ctrl-C ends them all", { timeout: 180_000 }, async (t) => {
  const { folder, urlOf, ask, script } = await startCluster(t);
  const nodes = SERVICES.slice(3).map(urlOf);
  for (const path of probedPaths()) for (const url of nodes) assert.equal((await fetch(url + path)).status, 200, path);

  await publishReadings(t, urlOf("nats-2"), folder);
  const time = new Date(START + (DAYS + 1) * DAY_MS).toISOString();
  await ask(`${nodes[2]}/v1/logs/meter/watermark`, { method: "POST", body: JSON.stringify({ time }) });
  const owners = await until(
    async () =>
      (await ask<{ readonly items: readonly ShardReport[] }>(`${nodes[0]}/v1/shards`)).items.filter(({ role }) => role === "owner"),
    (shards) =>
      shards.every(({ lag, outputs, outputsStored }) => lag === 0 && outputsStored >= outputs) &&
      shards.reduce((sum, { outputs }) => sum + outputs, 0) === DEVICES * DAYS &&
      new Set(shards.map(({ owner }) => owner)).size === nodes.length,
  );
  assert.deepEqual(owners.map(({ shard }) => shard).sort(), [0, 1, 2, 3]);
  for (const url of nodes) {
    type Outputs = { readonly items: readonly { readonly subject: string }[] };
    const { items } = await ask<Outputs>(`${url}/v1/outputs?type=meter.daily-total&limit=1000`);
    assert.equal(items.length, DEVICES * DAYS, url);
    assert.equal(new Set(items.map(({ subject }) => subject)).size, DEVICES);
  }

  const pids = SERVICES.slice(0, 3).map((service) => Number(readFileSync(join(folder, service, "pid"), "utf8")));
  script.kill("SIGINT");
  const { code, stderr } = await script.ended;
  assert.equal(code, 0, stderr);
  assert.ok(!existsSync(folder));
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  for (const url of nodes) await assert.rejects(fetch(`${url}/healthz`));
});

async function startCluster(t: TestContext): Promise<StartedCluster> {
  const script = run(process.execPath, ["deploy/cluster.ts", "actors/meter/meter.ts"], ROOT, { TIDEMARK_WORKERS: "1" });
  t.after(() => script.stop());
  const urls = new Map<string, string>();
  for (const service of SERVICES) urls.set(service, (await script.said(new RegExp(`^${service} (\\S+)$`, "m")))[1]!);
  await script.said(/left out, as nothing of Tidemark needs them: postgres, valkey, otel-collector, prometheus, grafana\n/);
  const folder = dirname((await script.said(/passwords: (\S+);/))[1]!);
  const token = readFileSync(join(folder, "deploy/secrets/admin-token"), "utf8");
  const ask = async <T>(url: string, init: RequestInit = {}): Promise<T> => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", connection: "close" };
    const answer = await fetch(url, { ...init, headers });
    assert.ok(answer.ok, `${url}: ${answer.status}`);
    return (await answer.json()) as T;
  };
  return { folder, urlOf: (service) => urls.get(service)!, ask, script };
}

/** What Kubernetes asks of a node. */
function probedPaths(): string[] {
  const { spec } = manifests().find(({ kind, metadata }) => kind === "StatefulSet" && metadata.name === "tidemark")!;
  const { template } = spec as {
    readonly template: { readonly spec: { readonly containers: readonly [Readonly<Record<string, Probe>>] } };
  };
  const [container] = template.spec.containers;
  return ["startupProbe", "livenessProbe", "readinessProbe"].map((name) => container[name]!.httpGet.path);
}

/** As a publisher, to the one server. */
async function publishReadings(t: TestContext, server: string, folder: string): Promise<void> {
  const { TIDEMARK_PUBLISHER_PASSWORD: pass } = parseEnv(readFileSync(join(folder, ".env"), "utf8"));
  const nc = await connect({ servers: server, user: "publisher", pass: pass!, ignoreClusterUpdates: true });
  t.after(() => nc.close());
  const options = { seed: 1, devices: DEVICES, events: DEVICES * DAYS * 4, everyMs: DAY_MS / 4, start: START, disorder: false };
  for (const { key, text } of meterReadings(options)) await nc.request(`meter.${key}`, text, { timeout: 10_000 });
}

/** The test's timeout is the bound. */
async function until<T>(read: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
