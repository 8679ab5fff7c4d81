/**
 * Entry of a worker thread that hosts shards. It is asked to stop, never terminated: ending a thread inside an LMDB
 * transaction freezes the next open of that environment.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { NatsConnection } from "@nats-io/transport-node";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import { type FoldSettings, type Job, withSettings } from "../../actors/model/job.ts";
import type { ServiceAddress } from "../../inference/service/messages.ts";
import { loadApp } from "../app.ts";
import type { Standing } from "../cluster/decide.ts";
import { jobNamed } from "../generations/generation-record.ts";
import type { Replication } from "../log/replication.ts";
import { connectNats, type NatsAccess } from "../nats-connect.ts";
import type { PumpPlace } from "../pump/pump-places.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import { openCatalogue, resultPlace, type SnapshotSettings, whenAsked } from "../snapshots/open-catalogue.ts";
import { type RowsChanged, rowsChanged } from "../snapshots/row-keys.ts";
import { type Outcome, outcomeOf } from "../threads/outcome.ts";
import { installGuards } from "./guards.ts";
import type { HandOverReport } from "./hand-over.ts";
import type { ShardPlace } from "./hosted-shard.ts";
import type { ShardReport } from "./report.ts";
import { type HostOptions, ShardHost } from "./shard-host.ts";
import type { ShardRole } from "./shard-parts.ts";
import type { Standby } from "./standby.ts";

export interface WorkerSetup {
  readonly app: string;
  readonly profile: "development" | "production";
  readonly streamMaxBytes: number;
  readonly replication: Replication;
  readonly timelineIndex: boolean;
  readonly settings: Partial<FoldSettings>;
  readonly snapshots: SnapshotSettings;
  /** One counter; raised with each sign of life. */
  readonly heartbeat: SharedArrayBuffer;
}

/** Where a shard lies, the pumps that run beside it as long as this node owns it, and as what it starts. */
export interface HostedPlace extends ShardPlace {
  readonly pumps: readonly PumpPlace[];
  readonly role: ShardRole;
}

export interface ShardWorker {
  /** Of the app as this thread has loaded it. */
  codeHash(): string;
  /** Connects; before it nothing is hosted. `inference`, `needsOther`: see {@link HostOptions}. */
  open(nats: NatsAccess, nodeId: string, inference: ServiceAddress | undefined, needsOther: () => void): Promise<void>;
  /** Starts shards of a job. */
  host(job: string, places: readonly HostedPlace[]): void;
  /** See {@link ShardHost.setRole} and {@link ShardHost.end}. */
  setRole(job: string, shard: number, role: ShardRole): void;
  end(job: string, shard: number): Promise<void>;
  /** See {@link Standbys}. */
  standbys(): Standby[];
  rebuild(standby: Standby, why: string): boolean;
  /** What its shards do; that there is an answer is a sign of life of all of them. */
  standings(): Standing[];
  reports(): ShardReport[];
  /** See {@link ShardHost.release}, {@link ShardHost.restore} and {@link ShardHost.follow}. */
  release(job: string): Promise<void>;
  restore(manifest: ShardManifest, progress: (doneBytes: number, totalBytes: number) => void): Promise<Outcome<void>>;
  cancelRestore(job: string, shard: number): void;
  follow(active: Readonly<Record<string, string>>): void;
  /** Asks its shards of the job to hand over to `next`. */
  handOver(job: string, next: CodeIdentity, from: CodeIdentity | undefined, shards: readonly number[] | undefined): void;
  handOvers(): HandOverReport[];
  settled(job: string, shard: number): Promise<Outcome<void>>;
  /** See {@link ChangedRows}. */
  changedRows(job: string, shard: number, since: string | undefined, at: string): RowsChanged;
  snapshotTaken(job: string, shard: number, at: string): void;
  hasChanged(job: string, shard: number): boolean;
  drain(): Promise<void>;
}

const BEAT_MS = 250;

function hostOptions(setup: WorkerSetup, nc: NatsConnection): Omit<HostOptions, "nodeId" | "codeHash" | "needsOther"> {
  const { profile, streamMaxBytes, replication, timelineIndex } = setup;
  const opened = whenAsked(() => openCatalogue(nc, setup.snapshots));
  const snapshots = async () => (await opened()).catalogue;
  return { profile, streamMaxBytes, replication, timelineIndex, snapshots, results: resultPlace(nc, setup.snapshots) };
}

async function main(setup: WorkerSetup): Promise<void> {
  installGuards();
  const heartbeat = new Int32Array(setup.heartbeat);
  const beat = (): void => {
    Atomics.add(heartbeat, 0, 1);
  };
  setInterval(beat, BEAT_MS);
  const app = await loadApp(setup.app);
  let opened: { readonly nc: NatsConnection; readonly host: ShardHost } | undefined;
  const worker: ShardWorker = {
    codeHash: () => app.codeHash,
    async open(nats, nodeId, inference, needsOther) {
      const nc = await connectNats(nats, `tidemark ${nodeId}`);
      const options = { ...hostOptions(setup, nc), nodeId, codeHash: app.codeHash, inference, needsOther };
      const host = new ShardHost(nc, options, beat, (message) => {
        process.stderr.write(`tidemark: ${message}\n`);
      });
      opened = { nc, host };
    },
    host(name, places) {
      const declared = (wanted: string): Job => {
        const job = jobNamed(app.jobs, wanted);
        if (job === undefined) throw new Error(`the app has no job "${wanted}"`);
        return withSettings(job, setup.settings);
      };
      // Another build than the node's own need not have all of its pumps.
      const isDeclared = ({ job, pump }: PumpPlace): boolean =>
        jobNamed(app.jobs, job)?.from.some(({ name: own }) => own === pump) === true;
      for (const { pumps, role, ...place } of places) {
        const setups = pumps.filter(isDeclared).map((pump) => ({ place: pump, job: declared(pump.job) }));
        opened!.host.host(declared(name), place, setups, role);
      }
    },
    setRole: (job, shard, role) => opened!.host.setRole(job, shard, role),
    end: (job, shard) => opened!.host.end(job, shard),
    standbys: () => opened?.host.standbys() ?? [],
    rebuild: (standby, why) => opened?.host.rebuild(standby, why) ?? false,
    standings: () => opened?.host.standings() ?? [],
    reports: () => opened?.host.reports() ?? [],
    release: (job) => opened!.host.release(job),
    restore: (manifest, progress) =>
      outcomeOf(() => opened!.host.restore(manifest, (done, total) => void progress(done, total))).finally(() => {
        (progress as unknown as { readonly [Comlink.releaseProxy]?: () => void })[Comlink.releaseProxy]?.();
      }),
    cancelRestore: (job, shard) => opened!.host.cancelRestore(job, shard),
    follow: (active) => opened!.host.follow(active),
    handOver: (name, next, from, shards) => opened!.host.handOver(name, next, from, shards),
    settled: (job, shard) => outcomeOf(() => opened!.host.settled(job, shard)),
    changedRows(job, shard, since, at) {
      const changed = rowsChanged(opened!.host.changedRows(job, shard), since, at);
      return changed.keys === undefined ? changed : Comlink.transfer(changed, [changed.keys.buffer]);
    },
    snapshotTaken: (job, shard, at) => opened!.host.changedRows(job, shard)?.taken(at),
    hasChanged: (job, shard) => opened!.host.changedRows(job, shard)?.something ?? false,
    handOvers: () => opened?.host.handOvers() ?? [],
    async drain() {
      await opened?.host.drain();
      await opened?.nc.close();
    },
  };
  Comlink.expose(worker, nodeEndpoint(parentPort!));
  parentPort!.postMessage("ready");
}

await main(workerData as WorkerSetup);
