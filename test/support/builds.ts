/** Folds one history with several builds, each from the state that the one before has left. */
import { Fold } from "../../actors/fold/fold.ts";
import { writeEpoch } from "../../actors/fold/journal.ts";
import { META_ROW } from "../../actors/fold/keys.ts";
import { type Meta, newMeta, readMeta } from "../../actors/fold/meta.ts";
import type { NumberedOutput } from "../../actors/fold/output-writer.ts";
import type { Job } from "../../actors/model/job.ts";
import { primitives } from "../../runtime/primitives.ts";
import { type Folded, foldHistory, type Interruptions } from "../../runtime/replay/fold-history.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import { identityFor, type ReadOutput, readOutputs, type TestLog } from "./entries.ts";

/** Entry i is folded by build i, later ones by the last. Each entry is committed, and no rows stay in memory. */
export function foldBuilds(
  log: TestLog,
  builds: readonly Job[],
): { readonly outputs: ReadOutput[]; readonly store: MemoryStore; readonly meta: Meta } {
  const store = new MemoryStore();
  const outputs: NumberedOutput[] = [];
  let meta: Meta | undefined;
  log.entries.forEach((entry, i) => {
    const job = builds[Math.min(i, builds.length - 1)]!;
    const identity = identityFor(job);
    const row = store.get(META_ROW);
    meta = row === undefined ? newMeta({ ...identity, sequence: 0 }, 0, 1) : readMeta(row)!;
    meta.epoch = { ...identity, sequence: 0 };
    const guard = { enter() {}, leave() {} };
    const skips = new Map<string, string>();
    const fold = new Fold({ job, partition: 0, partitions: 1, committed: store, meta, primitives, guard, identity, skips, liveRowsMax: 0 });
    fold.open(entry);
    while (fold.unit());
    outputs.push(...fold.takeOutputs());
    store.commit(fold.seal().changes, () => {});
  });
  return { outputs: readOutputs(outputs), store, meta: meta! };
}

/** The entry with which the build in force hands over to `next`. */
export function handOver(log: TestLog, from: Job, next: Job): void {
  log.raw(`${log.log}.p0.j.${from.name}.epoch`, writeEpoch(identityFor(next), 0, undefined));
}

/** Folds up to the hand-over at that entry with one build, and on from its state with the next, as a shard does. */
export function foldHandOver(log: TestLog, before: Job, after: Job, at: number, interruptions: Interruptions = {}): Folded {
  const store = new MemoryStore();
  const first = foldHistory({ ...log.history(before), entries: log.entries.slice(0, at), store }, interruptions);
  const second = foldHistory({ ...log.history(after), store }, interruptions);
  return { ...second, outputs: [...first.outputs, ...second.outputs] };
}
