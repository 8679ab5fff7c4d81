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

export interface OtherBuildsParts {
  /** The app of a build. Throws CODE_UNAVAILABLE with what is missing. */
  readonly appOf: (build: CodeIdentity) => Promise<string>;
  /** Starts the threads of a build, opened. */
  readonly start: (app: string, build: CodeIdentity) => Promise<readonly Worker[]>;
  readonly clock: Clock;
  readonly notice: (message: string) => void;
}

/** Each loads its app in every thread. */
const BUILDS_MAX = 2;
/** A build that cannot be had is asked for again so much later: it may be kept meanwhile. */
const RETRY_MS = 15_000;

interface Build {
  readonly build: CodeIdentity;
  workers?: readonly Worker[];
  /** Since when it is known that it cannot be had. */
  failedAt?: number;
}

export class OtherBuilds {
  readonly #parts: OtherBuildsParts;
  readonly #builds = new Map<string, Build>();

  constructor(parts: OtherBuildsParts) {
    this.#parts = parts;
  }

  get workers(): readonly Worker[] {
    return [...this.#builds.values()].flatMap(({ workers = [] }) => workers);
  }

  /** `undefined` while they start, and while the build cannot be had, which is told once. */
  workersOf(build: CodeIdentity): readonly Worker[] | undefined {
    const { clock } = this.#parts;
    const name = nameOf(build);
    const known = this.#builds.get(name);
    if (known === undefined || (known.failedAt !== undefined && clock.monotonic() - known.failedAt >= RETRY_MS)) {
      const starting: Build = { build };
      this.#builds.set(name, starting);
      void this.#start(starting).catch((error: unknown) => {
        starting.failedAt = clock.monotonic();
        if (known === undefined) this.#tell(build, error);
      });
    }
    return known?.workers;
  }

  async #start(starting: Build): Promise<void> {
    const { appOf, start, notice } = this.#parts;
    const { build } = starting;
    if (this.#builds.size > BUILDS_MAX) throw new TidemarkError("CODE_UNAVAILABLE", `This node runs ${BUILDS_MAX} other builds already.`);
    starting.workers = await start(await appOf(build), build);
    notice(`${named(build)} is in force and kept: this node folds with it until it hands over`);
  }

  #tell(build: CodeIdentity, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#parts.notice(`${named(build)} is in force and cannot be run here: ${why}`);
  }
}

function named({ version, codeHash }: CodeIdentity): string {
  return `version ${version} (${codeHash.slice(0, 12)})`;
}

/** One setting of the node is recorded in its epochs. */
function nameOf({ codeHash, settings }: CodeIdentity): string {
  return `${codeHash} ${settings.maxAheadMs}`;
}

export interface BuildStart {
  /** With the app and the settings of the build. */
  readonly setup: WorkerSetup;
  readonly threads: number;
  readonly open: (worker: Remote<ShardWorker>) => Promise<void>;
  readonly life: NodeLife;
}

/** Threads of another build, opened. Throws CODE_UNAVAILABLE when what was loaded is another one, and what made NATS unreachable. */
export async function startBuild(
  { version, codeHash }: CodeIdentity,
  { setup, threads, open, life }: BuildStart,
): Promise<readonly Worker[]> {
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
    life.watch(watched);
    return workers;
  } catch (error) {
    // They have no shard yet.
    wanted = false;
    for (const started of await Promise.allSettled(starting)) if (started.status === "fulfilled") void started.value.worker.terminate();
    throw error;
  }
}
