/**
 * Entry of a history thread: folds logs again, forward to moments of the past, with one build of the app. It holds up no
 * shard, and is asked for one bounded step at a time, so that it always answers soon.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { NatsConnection } from "@nats-io/transport-node";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import type { FoldSettings } from "../../actors/model/job.ts";
import { loadApp } from "../app.ts";
import { connectNats, type NatsAccess } from "../nats-connect.ts";
import type { ActorReport } from "../node/actor-report.ts";
import { installGuards } from "../shard/guards.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import { openCatalogue, resultPlace, type SnapshotSettings } from "../snapshots/open-catalogue.ts";
import { type Outcome, outcomeOf } from "../threads/outcome.ts";
import { type HistoricShard, type HistoricStand, HistoricStates, type HistoricStep, type RecordFact } from "./historic-states.ts";
import type { HistoricTarget } from "./historic-target.ts";
import type { LookNotes, StatesAround } from "./key-look.ts";

export interface HistorySetup {
  readonly app: string;
  readonly settings: Partial<FoldSettings>;
  readonly snapshots: SnapshotSettings;
  /** One counter; raised with each sign of life. */
  readonly heartbeat: SharedArrayBuffer;
}

/** {@link HistoricStates}, as the main thread calls it. */
export interface HistoryWorker {
  codeHash(): string;
  /** Connects; before it nothing is asked. */
  open(nats: NatsAccess, nodeId: string): Promise<void>;
  snapshots(job: string, partition: number): Promise<Outcome<readonly ShardManifest[]>>;
  begin(shard: HistoricShard, base?: ShardManifest): Promise<Outcome<HistoricStand>>;
  step(id: string, target: HistoricTarget, end: number, itemsMax?: number): Promise<Outcome<HistoricStep>>;
  look(id: string, token: string | undefined, before?: LookNotes): Promise<Outcome<void>>;
  notes(id: string): Promise<Outcome<LookNotes | undefined>>;
  showStates(id: string, k: number | undefined): Promise<Outcome<void>>;
  around(id: string): Promise<Outcome<StatesAround | undefined>>;
  records(id: string, names: readonly string[]): Promise<Outcome<readonly RecordFact[]>>;
  actor(id: string, type: string, token: string): Promise<Outcome<ActorReport | undefined>>;
  close(id: string): Promise<void>;
  /** Closes every environment and connection; the thread ends by itself behind the answer. */
  end(): Promise<void>;
}

const BEAT_MS = 250;

async function main(setup: HistorySetup): Promise<void> {
  const guard = installGuards();
  const heartbeat = new Int32Array(setup.heartbeat);
  // As long as the thread lives, and not what it lives for.
  setInterval(() => Atomics.add(heartbeat, 0, 1), BEAT_MS).unref();
  const app = await loadApp(setup.app);
  let states: HistoricStates | undefined;
  let nats: NatsConnection | undefined;
  const worker: HistoryWorker = {
    codeHash: () => app.codeHash,
    async open(access, nodeId) {
      nats = await connectNats(access, `tidemark history ${nodeId}`);
      const { catalogue } = await openCatalogue(nats, setup.snapshots);
      states = new HistoricStates({ app, settings: setup.settings, guard }, nats, catalogue, resultPlace(nats, setup.snapshots));
    },
    snapshots: (job, partition) => outcomeOf(async () => await states!.snapshots(job, partition)),
    begin: (shard, base) => outcomeOf(async () => await states!.begin(shard, base)),
    step: (id, target, end, itemsMax) => outcomeOf(async () => await states!.step(id, target, end, itemsMax)),
    look: (id, token, before) => outcomeOf(async () => await states!.look(id, token, before)),
    notes: (id) => outcomeOf(async () => states!.notes(id)),
    showStates: (id, k) => outcomeOf(async () => states!.showStates(id, k)),
    around: (id) => outcomeOf(async () => states!.around(id)),
    records: (id, names) => outcomeOf(async () => states!.records(id, names)),
    actor: (id, type, token) => outcomeOf(async () => await states!.actor(id, type, token)),
    close: (id) => states!.close(id),
    async end() {
      await states?.closeAll();
      await nats?.close();
      setImmediate(() => parentPort!.close());
    },
  };
  Comlink.expose(worker, nodeEndpoint(parentPort!));
  parentPort!.postMessage("ready");
}

await main(workerData as HistorySetup);
