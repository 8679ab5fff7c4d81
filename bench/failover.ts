/**
 * How long a shard says nothing when its owner is gone: two nodes on one broker, a steady load with an output for each
 * event, and again and again the node that owns the first shard is killed, stopped, or frozen, while the other one has
 * a standby of each shard or none. What is measured is the longest time between two outputs of one shard as a
 * subscriber gets them, from the fault until both nodes have their shares again. Everything is on the same cores.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { findNatsServer } from "../runtime/node/nats-binary.ts";
import { startNatsServer } from "../runtime/node/nats-server.ts";
import { NodeProcess } from "../test/support/node-process.ts";
import { Gaps, PARTITIONS, settled } from "./shard-gaps.ts";
import type { Row } from "./table.ts";

export interface FailoverOptions {
  readonly name: string;
  /** Events in a second, each with an output. */
  readonly rate: number;
  readonly trials: number;
  readonly fault: "kill" | "stop" | "freeze";
  readonly standbys: boolean;
}

const LOG = "bench";
const KEYS = 10_000;
/** Longer than any lease. */
const FROZEN_MS = 6_000;
/** The load goes on until the last trial has ended, and is cut off there. */
const LOAD_SECONDS = 36_000;

export async function failover(options: FailoverOptions): Promise<Row> {
  const { name, rate, trials, fault } = options;
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const server = await startNatsServer({ binary: findNatsServer().binary, storeDir: join(folder, "nats"), logs: [LOG] });
  const nc = await connect({ servers: server.url });
  const nodes = [0, 1].map((i) => start(i, server.url, folder, options));
  try {
    await Promise.all(nodes.map(({ ready }) => ready));
    const publisher = fork(new URL("./steady-load.ts", import.meta.url).pathname, [
      server.url,
      String(rate),
      String(LOAD_SECONDS),
      String(KEYS),
    ]);
    const gaps = new Gaps(nc);
    const longest: number[] = [];
    try {
      for (let trial = 0; trial < trials; trial++) {
        const owner =
          (await settled(nodes, options.standbys)).find(({ shard, role }) => shard === 0 && role === "owner")!.node === "n0" ? 0 : 1;
        gaps.begin();
        const node = nodes[owner]!;
        if (fault === "freeze") {
          node.child.kill("SIGSTOP");
          await pause(FROZEN_MS);
          node.child.kill("SIGCONT");
        } else {
          await (fault === "kill" ? node.kill() : node.stop());
          await pause(FROZEN_MS);
          nodes[owner] = start(owner, server.url, folder, options);
          await nodes[owner].ready;
        }
        longest.push(gaps.longest());
        await settled(nodes, options.standbys);
      }
    } finally {
      publisher.kill("SIGKILL");
      await once(publisher, "exit");
    }
    longest.sort((a, b) => a - b);
    return {
      benchmark: name,
      trials,
      "median gap ms": Math.round(longest[Math.floor(trials / 2)]!),
      "longest gap ms": Math.round(longest.at(-1)!),
      "outputs/s": Math.round(gaps.perSecond()),
    };
  } finally {
    for (const { child } of nodes) child.kill("SIGKILL");
    await nc.close();
    await server.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

function start(i: number, natsUrl: string, folder: string, { standbys }: FailoverOptions): NodeProcess {
  return new NodeProcess({
    app: new URL("./apps/every-event.ts", import.meta.url).pathname,
    natsUrl,
    dataDir: join(folder, `n${i}`),
    env: { TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_NODE_ID: `n${i}`, TIDEMARK_STANDBYS: standbys ? "on" : "off" },
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
