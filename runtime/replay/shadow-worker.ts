/**
 * Entry of a thread of a shadow replay: loads the build, guards armed, and folds one partition after the other. It holds
 * LMDB environments, so it is asked to stop and closed, never terminated in between.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { NatsConnection } from "@nats-io/transport-node";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { generationOf, type Job, withSettings } from "../../actors/model/job.ts";
import { type App, loadApp } from "../app.ts";
import { ThreadCallers } from "../effects/callers.ts";
import { TidemarkError } from "../errors.ts";
import { connectNats } from "../nats-connect.ts";
import { installGuards } from "../shard/guards.ts";
import { PartitionReplay } from "./partition-replay.ts";
import type { Answer, ReplayThread, ThreadSetup } from "./replay-task.ts";

const setup = workerData as ThreadSetup;
const guard = installGuards();
let app: App | undefined;
let nc: NatsConnection | undefined;
let replay: PartitionReplay | undefined;
let stopping = false;
const callers = new ThreadCallers(setup.inference);

async function answer<T>(work: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { ok: await work() };
  } catch (error) {
    if (error instanceof TidemarkError) return { failed: error.toRecord() };
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { failed: { code: "WORKER_LOST", detail: text } };
  }
}

function jobNamed({ jobs }: App, name: string): Job {
  const job = jobs.find((candidate) => candidate.name === name);
  if (job === undefined)
    throw new TidemarkError("APP_INVALID", `${setup.app} has no job "${name}"; it has ${jobs.map((one) => one.name).join(", ")}.`);
  return withSettings(job, setup.settings);
}

const thread: ReplayThread = {
  open: (name, generation) =>
    answer(async () => {
      app = await loadApp(setup.app);
      const job = jobNamed(app, name);
      generationOf(job, generation);
      if (setup.nats !== undefined) nc = await connectNats(setup.nats, "tidemark replay");
      return { log: job.log, version: job.version, codeHash: app.codeHash, jobs: app.jobs.map((one) => one.name) };
    }),
  replay: (task) =>
    answer(async () => {
      replay = new PartitionReplay({
        task,
        origin: jobNamed(app!, task.job),
        codeHash: app!.codeHash,
        guard,
        nc,
        snapshots: setup.snapshots,
        callers: callers.byKind,
        notice: (message) => process.stderr.write(`tidemark: ${message}\n`),
      });
      if (stopping) replay.stop();
      try {
        return await replay.run();
      } finally {
        replay = undefined;
      }
    }),
  progress: () => replay?.progress,
  stop() {
    stopping = true;
    replay?.stop();
  },
  async close() {
    callers.close();
    await nc?.close();
  },
};

Comlink.expose(thread, nodeEndpoint(parentPort!));
