import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { META_ROW, markRow, SUMS_ROW } from "../../actors/fold/keys.ts";
import { type Meta, readMeta } from "../../actors/fold/meta.ts";
import type { NumberedOutput } from "../../actors/fold/output-writer.ts";
import { StateSums, stateHash } from "../../actors/fold/state-hash.ts";
import { primitives } from "../../runtime/primitives.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import type { ShardManifest } from "../../runtime/snapshots/manifest.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import type { ShardStore } from "../../runtime/store/shard-store.ts";
import { prove } from "../../runtime/verify/proof.ts";
import { PublishedOutputs } from "../../runtime/verify/published-outputs.ts";
import type { ShardVerdict } from "../../runtime/verify/verify-task.ts";
import { identityFor, TestLog } from "../support/entries.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { allRows, flipped, keyNamedBy, storeOfRows } from "../support/flipped-rows.ts";
import { foldedBeginning, memoryLogOf } from "../support/past-world.ts";

const numRuns = Number(process.env.PROPERTY_RUNS ?? 40);
const job = everythingJob(1);

interface Kept {
  readonly store: ShardStore;
  readonly outputs: ReturnType<typeof foldHistory>["outputs"];
  readonly snapshots: readonly ShardManifest[];
}

/** What was kept of a history as it was first folded, with a snapshot every third entry. */
function keptOf(log: TestLog): Kept {
  const whole = foldHistory(log.history(job), { commitEveryUnits: 3 });
  const snapshots = log.entries.flatMap((_, i) => {
    if (i % 3 !== 2) return [];
    const { meta, stateHash } = foldedBeginning(log, job, i + 1);
    return [{ id: `s${i + 1}`, cursor: { ...meta.cursor }, last: meta.last, stateHash } as unknown as ShardManifest];
  });
  return { store: whole.store, outputs: whole.outputs, snapshots };
}

async function proofOf(entries: readonly LogEntry[], { store, outputs, snapshots }: Kept, copyOnly = false): Promise<ShardVerdict> {
  const identity = identityFor(job);
  const published = {
    page: async (_job: string, _shard: number, { from, limit }: { from: number; limit: number }) => ({
      items: outputs.filter(({ k }) => k >= from).slice(0, limit),
      next: undefined,
    }),
  };
  return await prove({
    job,
    partition: 0,
    partitions: 1,
    identity,
    log: await memoryLogOf(entries),
    store: new MemoryStore(),
    begin: async () => ({ root: { ...identity, sequence: 0 }, from: 1, later: [], base: undefined, begunAt: undefined }),
    skips: new Map(),
    guard: { enter() {}, leave() {} },
    actual: store,
    outputs: new PublishedOutputs(published, job.name, 0),
    snapshots,
    copyOnly,
    from: "start",
    remarks: [],
    progress: () => {},
  });
}

test("whatever the history, it is proven, at every snapshot on the way", async () => {
  await fc.assert(
    fc.asyncProperty(anEverythingHistory, async (log) => {
      const kept = keptOf(log);
      const verdict = await proofOf(log.entries, kept);
      assert.deepEqual(
        [verdict.ok, verdict.snapshots, verdict.outputs],
        [true, kept.snapshots.length, kept.outputs.length],
        JSON.stringify(verdict),
      );
    }),
    { numRuns },
  );
});

test("a shard that stands between the timers that one entry fires is proven, and what differs there is named", async () => {
  const log = new TestLog(job.log);
  const acts = [{ do: "alarm", id: "x", at: 1_000 }];
  for (const key of ["a", "b", "c"]) log.event({ id: `e${key}`, key, type: "run", data: { acts, later: [] } }, 1);
  log.tick(60_000);
  log.tick(1);
  const store = new MemoryStore();
  const commits: { store: ShardStore; meta: Meta; stateHash: string }[] = [];
  const take = (): void => {
    const row = store.get(META_ROW);
    if (row === undefined) return;
    const meta = readMeta(row)!;
    const hash = stateHash(StateSums.read(store.get(SUMS_ROW)!), META_ROW, row, primitives);
    commits.push({ store: storeOfRows(allRows(store)), meta, stateHash: hash });
  };
  const { outputs } = foldHistory({ ...log.history(job), store }, { commitEveryUnits: 1 }, take);
  take();
  const cursors = commits.map(({ meta: { cursor } }) => `${cursor.sequence}.${cursor.index}.${cursor.phase}`);
  assert.ok(new Set(cursors).size < cursors.length, cursors.join());
  const snapshots = commits.map(
    ({ meta, stateHash }, i) => ({ id: `s${i}`, cursor: { ...meta.cursor }, last: meta.last, stateHash }) as unknown as ShardManifest,
  );
  for (const [i, commit] of commits.entries()) {
    const healthy = await proofOf(log.entries, { store: commit.store, outputs, snapshots: snapshots.slice(0, i + 1) });
    assert.deepEqual([healthy.ok, healthy.snapshots, healthy.difference], [true, i + 1, null], cursors[i]);
    const rows = allRows(commit.store);
    const row = rows.find((candidate) => keyNamedBy(candidate) !== undefined && candidate.value.length > 0)!;
    const damaged = storeOfRows(rows.with(rows.indexOf(row), flipped(row, row.key.length * 8 + 3)));
    const { ok, difference } = await proofOf(log.entries, { store: damaged, outputs, snapshots: [] });
    assert.deepEqual([ok, difference?.kind, difference?.key, difference?.rows], [false, "state", keyNamedBy(row), 1], cursors[i]);
    const other = { ...snapshots[i]!, stateHash: "0".repeat(32) };
    const wrong = await proofOf(log.entries, { store: commit.store, outputs, snapshots: [other] });
    assert.deepEqual([wrong.ok, wrong.difference?.kind, wrong.difference?.name], [false, "snapshot", `s${i}`], cursors[i]);
  }
});

test("a bit that changed in a row is named with its actor, also where the sums still hold", async () => {
  await fc.assert(
    fc.asyncProperty(anEverythingHistory, fc.nat(), fc.nat(), async (log, pick, bit) => {
      const kept = keptOf(log);
      const rows = allRows(kept.store);
      const named = rows.filter((row) => keyNamedBy(row) !== undefined && row.value.length > 0);
      fc.pre(named.length > 0);
      const damaged = named[pick % named.length]!;
      const inValue = damaged.key.length * 8 + (bit % (damaged.value.length * 8));
      const store = storeOfRows(rows.with(rows.indexOf(damaged), flipped(damaged, inValue)));
      const { ok, difference } = await proofOf(log.entries, { ...kept, store });
      assert.deepEqual(
        [ok, difference?.kind, difference?.key, difference?.rows],
        [false, "state", keyNamedBy(damaged), 1],
        JSON.stringify(difference),
      );
    }),
    { numRuns },
  );
});

test("of a standby the row is named rather than the mark that differs with it, and outputs of its owner do not count", async () => {
  const log = new TestLog(job.log);
  for (const key of ["a", "b", "c"])
    log.event({ id: `e${key}`, key, type: "run", data: { acts: [{ do: "alarm", id: "x", at: 1_000 }], later: [] } }, 1);
  const kept = keptOf(log);
  const hash = foldedBeginning(log, job, 2).stateHash;
  const marked = (stateHash: string) => [...allRows(kept.store), { key: markRow(2), value: Buffer.from(stateHash) }];
  const rightMark = storeOfRows(marked(hash));
  const healthy = await proofOf(log.entries, { ...kept, store: rightMark, outputs: [] }, true);
  assert.deepEqual([healthy.ok, healthy.marks, healthy.outputs], [true, 1, 0], JSON.stringify(healthy));
  const rows = marked("0".repeat(32));
  const markAlone = await proofOf(log.entries, { ...kept, store: storeOfRows(rows) }, true);
  assert.deepEqual([markAlone.ok, markAlone.difference?.kind, markAlone.difference?.name], [false, "mark", "2"]);
  const row = rows.find((candidate) => keyNamedBy(candidate) !== undefined && candidate.value.length > 0)!;
  const store = storeOfRows(rows.with(rows.indexOf(row), flipped(row, row.key.length * 8 + 3)));
  const { ok, difference } = await proofOf(log.entries, { ...kept, store }, true);
  assert.deepEqual([ok, difference?.kind, difference?.key, difference?.rows], [false, "state", keyNamedBy(row), 1]);
  assert.equal((await proofOf(log.entries, { ...kept, store })).difference?.kind, "mark");
});

test("a bit that changed in an entry shows in the first thing that it changes, or changes nothing", async () => {
  let shown = 0;
  await fc.assert(
    fc.asyncProperty(anEverythingHistory, fc.nat(), fc.nat(), async (log, pick, bit) => {
      const kept = keptOf(log);
      const at = pick % log.entries.length;
      const entry = log.entries[at]!;
      fc.pre(entry.payload.length > 0);
      const changed: LogEntry = { ...entry, payload: flipped({ key: "", value: entry.payload }, bit).value };
      const entries = log.entries.with(at, changed);
      const hashOf = (list: readonly LogEntry[]): string => foldHistory({ ...log.history(job), entries: list }).stateHash;
      // Also on the way: what an entry changes may be undone by a later one.
      const same =
        hashOf(entries) === hashOf(log.entries) &&
        kept.snapshots.every(({ stateHash }, i) => hashOf(entries.slice(0, 3 * i + 3)) === stateHash);
      const { ok, difference } = await proofOf(entries, kept);
      assert.equal(ok, same, JSON.stringify(difference));
      if (ok) return;
      shown++;
      const after = difference!.after === "start" ? 0 : Number(difference!.after.replace("snapshot s", ""));
      assert.ok(after <= at, `entry ${at + 1} was changed, and the proof held ${difference!.after}`);
    }),
    { numRuns },
  );
  assert.ok(shown > 0);
});

test("a bit that changed in an output, or an output that is gone, is named by its number", async () => {
  await fc.assert(
    fc.asyncProperty(anEverythingHistory, fc.nat(), fc.nat(), fc.boolean(), async (log, pick, bit, gone) => {
      const kept = keptOf(log);
      fc.pre(kept.outputs.length > 0);
      const at = pick % kept.outputs.length;
      const output = kept.outputs[at]!;
      const other = { ...output, payload: flipped({ key: "", value: output.payload }, bit).value };
      const outputs = gone ? kept.outputs.toSpliced(at, at > 0 && bit % 2 === 0 ? 1 : kept.outputs.length) : kept.outputs.with(at, other);
      const { ok, difference } = await proofOf(log.entries, { ...kept, outputs });
      assert.deepEqual([ok, difference?.kind, difference?.name], [false, "output", String(at + 1)], JSON.stringify(difference));
    }),
    { numRuns },
  );
});

test("an output that is gone behind where the stream begins is missing, also as the first that is compared", async () => {
  const output = (k: number): NumberedOutput =>
    ({ k, subject: "s", payload: Buffer.from("{}"), chain: String(k) }) as unknown as NumberedOutput;
  const compared = async (stored: readonly number[], folded: readonly number[]): Promise<unknown[]> => {
    const page = async (_job: string, _shard: number, { from, limit }: { from: number; limit: number }) => ({
      items: stored
        .filter((k) => k >= from)
        .slice(0, limit)
        .map(output),
      next: undefined,
    });
    const outputs = new PublishedOutputs({ page }, "j", 0);
    await outputs.compare(folded.map(output));
    return [outputs.compared, outputs.trimmed, outputs.difference?.k];
  };
  assert.deepEqual(await compared([1, 2, 3, 4, 5, 7, 8], [6, 7, 8]), [0, 0, 6]);
  assert.deepEqual(await compared([4, 5, 7], [2, 3, 4, 5, 6, 7]), [2, 2, 6]);
  assert.deepEqual(await compared([4, 5], [2, 3, 4, 5]), [2, 2, undefined]);
});
