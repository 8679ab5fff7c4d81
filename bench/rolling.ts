/**
 * How long a shard says nothing while a cluster is brought to a new build under load: three nodes are restarted with it one
 * after the other, then it follows the old one in all shards. Everything is on the same cores.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect } from "@nats-io/transport-node";
import { loadedBuild } from "../api/cli/migration-trial.ts";
import { readConfig } from "../runtime/node/config.ts";
import { findNatsServer } from "../runtime/node/nats-binary.ts";
import { startNatsServer } from "../runtime/node/nats-server.ts";
import { getJson, NodeProcess } from "../test/support/node-process.ts";
import { Gaps, PARTITIONS, settled } from "./shard-gaps.ts";
import type { Row } from "./table.ts";

export interface RollingOptions {
  readonly name: string;
  /** Events in a second, each with an output. */
  readonly rate: number;
  readonly upgrades: number;
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const NODES = 3;
const KEYS = 10_000;
const LOAD_SECONDS = 36_000;
const POLL_MS = 50;

export async function rolling({ name, rate, upgrades }: RollingOptions): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const server = await startNatsServer({ binary: findNatsServer().binary, storeDir: join(folder, "nats"), logs: ["bench"] });
  const nc = await connect({ servers: server.url });
  const appOf = (version: number): string => {
    const path = join(folder, `v${version}`, "app.ts");
    mkdirSync(dirname(path));
    symlinkSync(join(ROOT, "node_modules"), join(dirname(path), "node_modules"));
    // As an app of one's own: what is imported from a folder above would be part of the build.
    const counter = readFileSync(join(ROOT, "bench/apps/counter.ts"), "utf8").replaceAll("../../actors/", `${ROOT}actors/`);
    writeFileSync(path, `${counter}\nexport default counterJob(1, ${version});\n`);
    return path;
  };
  const start = (i: number, app: string): NodeProcess => {
    const own = { TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_NODE_ID: `n${i}`, TIDEMARK_PROFILE: "production" };
    const env = { ...own, TIDEMARK_ROLLING_UPGRADE: "on" };
    return new NodeProcess({ app, natsUrl: server.url, dataDir: join(folder, `n${i}`), env });
  };
  const first = appOf(1);
  const nodes = Array.from({ length: NODES }, (_, i) => start(i, first));
  const restarts: number[] = [];
  const followed: number[] = [];
  try {
    await Promise.all(nodes.map(({ ready }) => ready));
    const load = [server.url, String(rate), String(LOAD_SECONDS), String(KEYS)];
    const publisher = fork(new URL("./steady-load.ts", import.meta.url).pathname, load);
    const gaps = new Gaps(nc);
    try {
      for (let version = 2; version < upgrades + 2; version++) {
        const app = appOf(version);
        for (const i of nodes.keys()) {
          await settled(nodes, true);
          gaps.begin();
          await nodes[i]!.stop();
          nodes[i] = start(i, app);
          await settled(nodes, true);
          restarts.push(gaps.longest());
        }
        gaps.begin();
        await handOver(await nodes[0]!.ready, app);
        await settled(nodes, true);
        followed.push(gaps.longest());
      }
    } finally {
      publisher.kill("SIGKILL");
      await once(publisher, "exit");
    }
    return {
      benchmark: name,
      restarts: restarts.length,
      "longest gap ms, restarts": Math.round(Math.max(...restarts)),
      upgrades: followed.length,
      "longest gap ms, upgrades": Math.round(Math.max(...followed)),
      "outputs/s": Math.round(gaps.perSecond()),
    };
  } finally {
    for (const { child } of nodes) child.kill("SIGKILL");
    await nc.close();
    await server.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As `tidemark upgrade` does. */
async function handOver(apiUrl: string, app: string): Promise<void> {
  const { jobs } = await loadedBuild(app, readConfig({}));
  const body = JSON.stringify({ jobs: jobs.map(({ name, log, identity }) => ({ job: name, log, identity })) });
  const asked = await fetch(`${apiUrl}/v1/hand-overs`, { method: "POST", headers: { "content-type": "application/json" }, body });
  const { id } = (await asked.json()) as { readonly id: string };
  for (;;) {
    const { status, error } = await getJson<{ readonly status: string; readonly error?: unknown }>(`${apiUrl}/v1/operations/${id}`);
    if (status === "succeeded") return;
    if (status !== "running") throw new Error(JSON.stringify(error));
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
