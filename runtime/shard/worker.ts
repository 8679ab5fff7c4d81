/**
 * Entry of a worker thread that hosts shards. It is asked to stop, never terminated: ending a thread inside an LMDB
 * transaction freezes the next open of that environment.
 */
import { parentPort, workerData } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { type FoldSettings, withSettings } from "../../actors/model/job.ts";
import { loadApp } from "../app.ts";
import { connectNats } from "../nats-connect.ts";
import { installGuards } from "./guards.ts";
import type { ShardReport } from "./report.ts";
import { ShardHost, type ShardPlace } from "./shard-host.ts";

export interface WorkerSetup {
  readonly app: string;
  readonly natsUrl: string;
  readonly nodeId: string;
  readonly profile: "development" | "production";
  readonly streamMaxBytes: number;
  readonly replicas: number;
  readonly settings: Partial<FoldSettings>;
  /** One counter; raised with each sign of life. */
  readonly heartbeat: SharedArrayBuffer;
}

export interface ShardWorker {
  /** Starts shards of a job. */
  host(job: string, places: readonly ShardPlace[]): void;
  reports(): ShardReport[];
  drain(): Promise<void>;
}

const BEAT_MS = 250;

async function main(setup: WorkerSetup): Promise<void> {
  installGuards();
  const heartbeat = new Int32Array(setup.heartbeat);
  const beat = (): void => {
    Atomics.add(heartbeat, 0, 1);
  };
  setInterval(beat, BEAT_MS);
  const app = await loadApp(setup.app);
  const nc = await connectNats(setup.natsUrl, `tidemark ${setup.nodeId}`);
  const { nodeId, profile, streamMaxBytes, replicas } = setup;
  const host = new ShardHost(nc, { nodeId, profile, codeHash: app.codeHash, streamMaxBytes, replicas }, beat, (message) => {
    process.stderr.write(`${message}\n`);
  });
  const worker: ShardWorker = {
    host(name, places) {
      const job = app.jobs.find((candidate) => candidate.name === name);
      if (job === undefined) throw new Error(`the app has no job "${name}"`);
      for (const place of places) host.host(withSettings(job, setup.settings), place);
    },
    reports: () => host.reports(),
    async drain() {
      await host.drain();
      await nc.close();
    },
  };
  Comlink.expose(worker, nodeEndpoint(parentPort!));
  parentPort!.postMessage("ready");
}

await main(workerData as WorkerSetup);
