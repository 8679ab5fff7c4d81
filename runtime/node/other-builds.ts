/**
 * Threads that run other builds of the app than the node's own: a shard whose epoch names another build is folded by that
 * one, as it is kept beside the snapshots, until it hands over. So nodes are restarted with a new build one after the other
 * while the old one goes on in them (docs/upgrade.md).
 */
import type { Remote } from "comlink";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { Clock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import type { ShardWorker, WorkerSetup } from "../shard/worker.ts";
import type { Thread } from "../threads/thread-call.ts";
import type { NodeLife } from "./node-life.ts";
import { startNodeThread } from "./node-thread.ts";

export type Worker = Thread<ShardWorker>;

/** Threads of one build, opened. */
export interface StartedBuild {
  readonly workers: readonly Worker[];
  /** Ends them; they have no shard. */
  stop(): Promise<void>;
}

export interface OtherBuildsParts {
  /** The app of a build. Throws CODE_UNAVAILABLE with what is missing. */
  readonly appOf: (build: CodeIdentity) => Promise<string>;
  readonly start: (app: string, build: CodeIdentity) => Promise<StartedBuild>;
  readonly clock: Clock;
  readonly notice: (message: string) => void;
}

/** Each loads its app in every thread. */
const BUILDS_MAX = 2;
/** A build that cannot be had is asked for again so much later: it may be kept meanwhile. */
const RETRY_MS = 15_000;
/** A build that has no shard for so long has handed them all over. */
const IDLE_MS = 300_000;

interface Build {
  started?: StartedBuild;
  /** When it was seen to have a shard. */
  usedAt: number;
  /** Since when it is known that it cannot be had. */
  failedAt?: number;
  told: string;
}

export class OtherBuilds {
  readonly #parts: OtherBuildsParts;
  readonly #builds = new Map<string, Build>();

  constructor(parts: OtherBuildsParts) {
    this.#parts = parts;
  }

  get workers(): readonly Worker[] {
    return [...this.#builds.values()].flatMap(({ started }) => started?.workers ?? []);
  }

  /** `undefined` while they start, and while the build cannot be had, which is told once for each reason. */
  workersOf(build: CodeIdentity): readonly Worker[] | undefined {
    const now = this.#parts.clock.monotonic();
    const name = nameOf(build);
    const known = this.#builds.get(name);
    if (known?.started !== undefined) known.usedAt = now;
    else if (known === undefined || (known.failedAt !== undefined && now - known.failedAt >= RETRY_MS)) {
      const starting: Build = { usedAt: now, told: known?.told ?? "" };
      this.#builds.set(name, starting);
      void this.#start(starting, build).catch((error: unknown) => this.#fail(starting, build, error));
    }
    return known?.started?.workers;
  }

  /** Ends the threads of builds that have had no shard for a while. */
  endIdle(isUsed: (worker: Worker) => boolean): void {
    const now = this.#parts.clock.monotonic();
    for (const [name, build] of this.#builds) {
      if (build.started === undefined) continue;
      if (build.started.workers.some(isUsed)) build.usedAt = now;
      else if (now - build.usedAt >= IDLE_MS) {
        this.#builds.delete(name);
        void build.started
          .stop()
          .catch((error: unknown) => this.#parts.notice(`threads of an earlier build did not end: ${String(error)}`));
      }
    }
  }

  async #start(starting: Build, build: CodeIdentity): Promise<void> {
    const { appOf, start, notice, clock } = this.#parts;
    const others = [...this.#builds.values()].filter(({ failedAt }) => failedAt === undefined).length;
    if (others > BUILDS_MAX) throw new TidemarkError("CODE_UNAVAILABLE", `This node runs ${BUILDS_MAX} other builds already.`);
    starting.started = await start(await appOf(build), build);
    starting.usedAt = clock.monotonic();
    notice(`${named(build)} is in force and kept: this node folds with it until it hands over`);
  }

  #fail(starting: Build, build: CodeIdentity, error: unknown): void {
    starting.failedAt = this.#parts.clock.monotonic();
    const why = error instanceof Error ? error.message : String(error);
    if (why !== starting.told) this.#parts.notice(`${named(build)} is in force and cannot be run here: ${why}`);
    starting.told = why;
  }
}

function named({ version, codeHash }: CodeIdentity): string {
  return `version ${version} (${codeHash.slice(0, 12)})`;
}

/** Of the settings of a node one is recorded in its epochs; the others are the job's own. */
function nameOf({ codeHash, settings, tidemark, node, icu, tz }: CodeIdentity): string {
  return [codeHash, settings.maxAheadMs, tidemark, node, icu, tz].join(" ");
}

export interface BuildStart {
  /** With the app and the settings of the build. */
  readonly setup: WorkerSetup;
  readonly threads: number;
  readonly open: (worker: Remote<ShardWorker>) => Promise<void>;
  readonly life: NodeLife;
}

/** Throws CODE_UNAVAILABLE when what was loaded is another one, and what made NATS unreachable. */
export async function startBuild({ version, codeHash }: CodeIdentity, { setup, threads, open, life }: BuildStart): Promise<StartedBuild> {
  const watched = Array.from({ length: threads }, (_, i) => ({
    name: `worker ${i} of version ${version}`,
    heartbeat: new SharedArrayBuffer(4),
  }));
  let wanted = true;
  const lost = (error: TidemarkError): void => {
    if (wanted) life.lost(error);
  };
  const starting = watched.map(({ name, heartbeat }) =>
    startNodeThread<ShardWorker>("../shard/worker.ts", name, { ...setup, heartbeat }, lost),
  );
  try {
    const workers = await Promise.all(starting);
    for (const worker of workers) {
      if ((await worker.call("code hash", (remote) => remote.codeHash())) !== codeHash)
        throw new TidemarkError("CODE_UNAVAILABLE", `${setup.app} is not the build ${codeHash.slice(0, 12)}.`);
      await worker.call("open", open);
    }
    const unwatch = life.watch(watched);
    const stop = async (): Promise<void> => {
      wanted = false;
      unwatch();
      for (const worker of workers) {
        await worker.call("drain", (remote) => remote.drain());
        await worker.worker.terminate();
      }
    };
    return { workers, stop };
  } catch (error) {
    // They have no shard yet.
    wanted = false;
    for (const started of await Promise.allSettled(starting)) if (started.status === "fulfilled") void started.value.worker.terminate();
    throw error;
  }
}
