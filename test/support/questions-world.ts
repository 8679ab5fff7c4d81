/** Questions about the past of a log in memory: real folds and a real History, its threads in the test's own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { writeEpoch } from "../../actors/fold/journal.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { Job } from "../../actors/model/job.ts";
import type { HistoricFold } from "../../runtime/history/historic-fold.ts";
import type { HistoricShard, HistoricStand, HistoricStep } from "../../runtime/history/historic-states.ts";
import { History, type HistoryParts, type PastShard } from "../../runtime/history/history.ts";
import type { HistoryThread } from "../../runtime/history/history-thread.ts";
import type { HistoryWorker } from "../../runtime/history/history-worker.ts";
import { KeyLook } from "../../runtime/history/key-look.ts";
import type { MemoryPartitionLog } from "../../runtime/log/memory-partition-log.ts";
import type { CommittedPlace } from "../../runtime/node/state-reader.ts";
import type { EpochPlan } from "../../runtime/shard/epochs.ts";
import type { ShardManifest } from "../../runtime/snapshots/manifest.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import type { ShardStore } from "../../runtime/store/shard-store.ts";
import { type Outcome, outcomeOf, outcomeValue } from "../../runtime/threads/outcome.ts";
import { identityFor, T0, type TestLog } from "./entries.ts";
import { memoryLogOf, openPast } from "./past-world.ts";

export interface QuestionsParts extends Partial<HistoryParts> {
  readonly committed?: () => Promise<CommittedPlace | undefined>;
  /** Builds by their code hash; default the one of `identityFor`. */
  readonly builds?: readonly CodeIdentity[];
  /** Where the history begins; default an epoch that is told behind the last entry. */
  readonly root?: EpochPlan;
  readonly snapshots?: readonly ShardManifest[];
  /** Awaited before a step. */
  readonly beforeStep?: () => Promise<void>;
}

interface Opened {
  readonly fold: HistoricFold;
  readonly store: ShardStore;
  look: KeyLook | undefined;
}

export interface QuestionsWorld {
  readonly history: History;
  readonly shard: PastShard;
  readonly log: MemoryPartitionLog;
  /** What the threads hold open, by its id. */
  readonly opened: Map<string, Opened>;
  /** How often an environment was opened. */
  begun: number;
}

export async function questionsWorld(t: TestContext, test: TestLog, job: Job, parts: QuestionsParts = {}): Promise<QuestionsWorld> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-questions-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const log = await memoryLogOf(test.entries);
  const { builds = [identityFor(job)], snapshots = [], beforeStep, root, ...rest } = parts;
  if (root === undefined) await log.append(`${job.log}.p0.j.${job.name}.epoch`, Buffer.from(writeEpoch(builds[0]!, 0, 1)));
  const last = test.entries.length;
  const stores = new Map<string, ShardStore>();
  const opened = new Map<string, Opened>();
  const world = { begun: 0 };
  const thread = (identity: CodeIdentity): HistoryThread => {
    const mine = new Map<string, Opened>();
    const begin = async ({ id }: HistoricShard) => {
      const store = stores.get(id) ?? new MemoryStore();
      stores.set(id, store);
      world.begun++;
      const fold = await openPast({ ...job, version: identity.version }, log, {
        store,
        identity,
        ...(root === undefined ? {} : { begin: async () => root }),
      });
      const one: Opened = { fold, store, look: undefined };
      mine.set(id, one);
      opened.set(id, one);
      return fold;
    };
    const remote = remoteOf({ job, mine, opened, snapshots, beforeStep, begin });
    const call = async <R>(_name: string, run: (remote: HistoryWorker) => Promise<R>): Promise<R> => await run(remote);
    const ask = async <R>(_name: string, run: (remote: HistoryWorker) => Promise<Outcome<R>>): Promise<R> =>
      outcomeValue(await run(remote));
    return { call, ask, end: async () => {} } as unknown as HistoryThread;
  };
  const threads = new Map(builds.map((identity) => [identity.codeHash, thread(identity)] as const));
  const history = new History({
    folder,
    clock: { now: () => T0 + 1e12 } as HistoryParts["clock"],
    codeHash: builds[0]!.codeHash,
    appOf: async ({ codeHash }) => codeHash,
    startThread: async (codeHash) => threads.get(codeHash)!,
    logOf: () => log,
    committed: async () => ({
      sequence: last + 1,
      index: 0,
      epochRoot: root?.root.sequence ?? 0,
      watermark: T0 + 1e12,
      position: `0:${last}.0`,
    }),
    touches: async () => ({ sequences: [], whole: true, covered: [] }),
    entriesMax: 100_000,
    ...rest,
  });
  return Object.assign(world, { history, shard: { job, partition: 0, partitions: 1 }, log, opened });
}

/** Of a state that a question ended with: what `actor` gives in this world. */
export function standIn(answer: unknown): HistoricStand {
  return answer as HistoricStand;
}

export function watching(): { readonly signal: AbortSignal } {
  return { signal: new AbortController().signal };
}

interface RemoteParts {
  readonly job: Job;
  /** Of this thread, and of all. */
  readonly mine: Map<string, Opened>;
  readonly opened: Map<string, Opened>;
  readonly snapshots: readonly ShardManifest[];
  readonly beforeStep: (() => Promise<void>) | undefined;
  readonly begin: (shard: HistoricShard) => Promise<HistoricFold>;
}

function remoteOf({ job, mine, opened, snapshots, beforeStep, begin }: RemoteParts): HistoryWorker {
  const remote: Partial<HistoryWorker> = {
    snapshots: () => outcomeOf(async () => snapshots),
    begin: (shard) => outcomeOf(async () => standOf(await begin(shard))),
    step: (id, target, end, itemsMax) =>
      outcomeOf(async () => {
        await beforeStep?.();
        return await stepOf(mine.get(id)!, target, end, itemsMax);
      }),
    look: (id, token, before) =>
      outcomeOf(async () => {
        const one = mine.get(id)!;
        one.look = undefined;
        if (token === undefined) await one.fold.observe(undefined);
        else one.look = await KeyLook.begin(one.fold, one.store, job, { job: job.name, partition: 0, token }, before);
      }),
    notes: (id) => outcomeOf(async () => structuredClone(mine.get(id)!.look?.notes)),
    showStates: (id, k) => outcomeOf(async () => mine.get(id)!.look!.showStates(k)),
    around: (id) => outcomeOf(async () => mine.get(id)!.look?.around),
    records: () => outcomeOf(async () => []),
    actor: (id) => outcomeOf(async () => standOf(mine.get(id)!.fold) as never),
    async close(id) {
      await mine.get(id)?.fold.rest();
      mine.delete(id);
      opened.delete(id);
    },
  };
  return remote as HistoryWorker;
}

async function stepOf(
  { fold, look }: Opened,
  target: Parameters<HistoricFold["step"]>[0],
  end: number,
  itemsMax = 1e9,
): Promise<HistoricStep> {
  const before = fold.folded;
  const bounds = { end, entriesMax: 20_000, msMax: 100 };
  const { result, items } =
    look === undefined ? { result: await fold.step(target, bounds), items: [] } : await look.step(target, bounds, itemsMax);
  return { result, items, folded: fold.folded - before, stand: result === "more" ? undefined : standOf(fold) };
}

function standOf({ meta }: HistoricFold): HistoricStand {
  return structuredClone({
    cursor: meta.cursor,
    last: meta.last,
    watermark: meta.watermark,
    processingTime: meta.processingTime,
    epoch: meta.epoch,
    epochRoot: meta.epochRoot,
  });
}
