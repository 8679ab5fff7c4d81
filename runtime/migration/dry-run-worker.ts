/** Entry of the thread of a dry run: loads the app, guards armed, and tries its migrations over shard after shard. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import type { Guard } from "../../actors/fold/fold-options.ts";
import { META_ROW, TABLE, tableEnd } from "../../actors/fold/keys.ts";
import { type Meta, readMeta } from "../../actors/fold/meta.ts";
import { MigrationTrial } from "../../actors/fold/migration-trial.ts";
import type { FoldSettings, Job } from "../../actors/model/job.ts";
import { loadApp } from "../app.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { tokenOf } from "../node/actor-record.ts";
import { buildOf } from "../node/app-build.ts";
import { primitives } from "../primitives.ts";
import { installGuards } from "../shard/guards.ts";
import { openLmdbReader, type StoreReader } from "../store/lmdb-store.ts";
import type { DryRunMessage } from "./dry-run.ts";
import { Findings } from "./findings.ts";

export interface DryRunTask {
  readonly app: string;
  /** `undefined`: the app is only loaded. */
  readonly dataDir: string | undefined;
  /** Settings that the node will fold with. */
  readonly settings: Partial<FoldSettings>;
}

/** Keys that are tried on one look at the store. */
const CHUNK_KEYS = 256;
/** The node commits meanwhile: a look that saw two commits is taken again. */
const CHUNK_TRIES = 1_000;

const task = workerData as DryRunTask;
const send = (message: DryRunMessage): void => parentPort!.postMessage(message);

try {
  const guard = installGuards();
  const app = await loadApp(task.app);
  const { jobs } = app;
  const findings = new Findings();
  let shards = 0;
  for (const job of jobs) {
    findings.declare(job);
    for (const folder of task.dataDir === undefined ? [] : shardFolders(task.dataDir, job.name)) {
      shards++;
      const store = openLmdbReader(folder);
      try {
        await tryShard(job, store, guard, findings);
      } finally {
        await store.close();
      }
    }
  }
  if (shards === 0 && task.dataDir !== undefined)
    throw new TidemarkError("STATE_MISSING", `${task.dataDir} holds no state of ${jobs.map(({ name }) => name).join(", ")}.`);
  send({ build: buildOf(app, task.settings), found: findings.list() });
} catch (error) {
  if (!isTidemarkError(error)) throw error;
  send({ failed: error.toRecord() });
}

function shardFolders(dataDir: string, job: string): string[] {
  const shards = join(dataDir, "shards");
  const names = existsSync(shards) ? readdirSync(shards) : [];
  const ours = names.filter((name) => name.startsWith(`${job}-`) && /^\d+$/.test(name.slice(job.length + 1)));
  return ours.map((name) => join(shards, name)).filter((folder) => existsSync(join(folder, "data.mdb")));
}

async function tryShard(job: Job, store: StoreReader, guard: Guard, findings: Findings): Promise<void> {
  const end = tableEnd(TABLE.key);
  let tried = 0;
  for (let from: string = TABLE.key; ; ) {
    const found = atOneCommit(store, (meta) => {
      const trial = new MigrationTrial(job, store, meta, primitives, guard);
      const keys = store.scan(from, end, CHUNK_KEYS).map(({ key }) => key);
      return { keys, tries: keys.map((key) => ({ token: tokenOf(key), actors: trial.of(tokenOf(key)) })) };
    });
    if (found === undefined) return;
    for (const { token, actors } of found.tries) for (const actor of actors) findings.add(job.name, token, actor);
    tried += found.keys.length;
    if (found.keys.length < CHUNK_KEYS) return;
    send({ tried });
    from = `${found.keys.at(-1)!}\0`;
    // Between two looks the store lets go of the pages that it had to keep for the one before.
    await setImmediate();
  }
}

/** `undefined` when the shard has committed nothing yet. */
function atOneCommit<T>(store: StoreReader, look: (meta: Meta) => T): T | undefined {
  for (let attempt = 0; attempt < CHUNK_TRIES; attempt++) {
    const before = store.get(META_ROW);
    if (before === undefined) return undefined;
    const meta = readMeta(before);
    if (meta === undefined) throw new TidemarkError("STATE_FORMAT", `A shard in ${task.dataDir} was written in another format.`);
    let seen: { readonly value: T } | { readonly failed: unknown };
    try {
      seen = { value: look(meta) };
    } catch (error) {
      // Rows of two commits need not fit together; those of one must.
      seen = { failed: error };
    }
    const after = store.get(META_ROW);
    if (after === undefined || Buffer.compare(before, after) !== 0) continue;
    if ("failed" in seen) throw seen.failed;
    return seen.value;
  }
  throw new Error(`the state changed while it was read, ${CHUNK_TRIES} times`);
}
