/**
 * Folds what a test has sent once more and compares: with what the test saw, with crashes between the units, and, when
 * the job's module is known, in fresh threads that load it anew.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { LogEntry } from "../../actors/fold/entry.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { Job } from "../../actors/model/job.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { cellTexts, type Difference, type Replayed, type ReplayedOutput } from "../replay/replayed.ts";
import { type Verdict, verifyReplay, verifyReplayHere } from "../replay/verify-replay.ts";
import { readEpochPlan } from "../shard/epochs.ts";
import { installGuards } from "../shard/guards.ts";
import { invalid } from "./test-event.ts";
import type { TestShard } from "./test-shard.ts";

export interface ReplayCheck {
  /** Outputs that were compared. */
  readonly outputs: number;
  /** Whether fresh threads loaded the job's module anew. Without its path, what modules keep may have gone unseen. */
  readonly moduleState: "checked" | "not checked";
}

/** Throws REPLAY_DIFFERS with the first difference. `module`: file that exports the job as its default, alone or in an array. */
export async function checkReplay(
  job: Job,
  identity: CodeIdentity,
  shards: readonly TestShard[],
  module: string | URL | undefined,
): Promise<ReplayCheck> {
  const app = module === undefined ? undefined : appPath(module);
  let outputs = 0;
  for (const [partition, shard] of shards.entries()) {
    shard.commit();
    const { root, from } = await readEpochPlan(shard.log, job.log, partition, job.name);
    const entries = await entriesOf(shard, from);
    const history = { partition, partitions: shards.length, identity, epochRoot: root.sequence, from, entries };
    const recorded: Replayed = { outputs: outputsOf(shard), stateHash: undefined, trail: [], cells: cellTexts(job, shard.store) };
    const verdict =
      app === undefined
        ? verifyReplayHere({ ...history, job, guard: installGuards() }, recorded)
        : await inThreads(() => verifyReplay({ ...history, app, job: job.name }, recorded));
    if (!verdict.ok) throw new TidemarkError("REPLAY_DIFFERS", describe(verdict.difference));
    outputs += verdict.outputs;
  }
  return { outputs, moduleState: app === undefined ? "not checked" : "checked" };
}

function appPath(module: string | URL): string {
  const path = module instanceof URL || module.startsWith("file:") ? fileURLToPath(module) : module;
  if (!existsSync(path)) throw invalid(`verifyReplay: there is no module ${path}`);
  return path;
}

/** The module is the test's own word, so what is wrong with it is the test's own fault. */
async function inThreads(verify: () => Promise<Verdict>): Promise<Verdict> {
  try {
    return await verify();
  } catch (error) {
    if (!isTidemarkError(error, "CONFIG_INVALID")) throw error;
    throw new TidemarkError("TEST_INPUT", `verifyReplay: ${error.detail}`, { cause: error });
  }
}

async function entriesOf(shard: TestShard, from: number): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for (let sequence = from; sequence <= shard.log.lastSequence; sequence++) entries.push((await shard.entryAt(sequence))!);
  return entries;
}

function outputsOf({ broker }: TestShard): ReplayedOutput[] {
  return Array.from({ length: broker.lastSequence }, (_, i) => {
    const { subject, chain, payload } = broker.message(i + 1)!;
    return { subject, chain, text: Buffer.from(payload).toString() };
  });
}

function describe({ way, what, key, position, expected, actual }: Difference): string {
  const about = `${what}${key === undefined ? "" : ` of key "${key}"`}${position === undefined ? "" : `, at position ${position}`}`;
  return `${about} differs (${way}).\n  it was: ${expected}\n  it is:  ${actual}\n`;
}
