import assert from "node:assert/strict";
import { test } from "node:test";
import { Fold } from "../../actors/fold/fold.ts";
import { META_ROW } from "../../actors/fold/keys.ts";
import { newMeta, readMeta } from "../../actors/fold/meta.ts";
import type { CommittedRows } from "../../actors/fold/rows.ts";
import { primitives } from "../../runtime/primitives.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import { identityFor, readOutputs, T0 } from "../support/entries.ts";
import { ScriptLog, scriptedJob } from "../support/scripted.ts";

test("a row that a handler asks for is read outside of the guard, which is on again behind it", () => {
  const job = scriptedJob();
  const store = new MemoryStore();
  let guarded = false;
  const turns: boolean[] = [];
  const guard = {
    enter() {
      guarded = true;
      turns.push(true);
    },
    leave() {
      guarded = false;
      turns.push(false);
    },
  };
  const unguarded = <T>(read: () => T): T => {
    // As LMDB does, which sets a timer of its own when it renews a read transaction.
    assert(!guarded, "a store was read under the guard");
    return read();
  };
  const committed: CommittedRows = {
    get: (key) => unguarded(() => store.get(key)),
    scan: (from, to, limit) => unguarded(() => store.scan(from, to, limit)),
  };
  const identity = identityFor(job);
  const newFold = (): Fold => {
    const row = store.get(META_ROW);
    const meta = row === undefined ? newMeta({ ...identity, sequence: 0 }, 0, 1) : readMeta(row)!;
    return new Fold({ job, partition: 0, partitions: 1, committed, meta, primitives, guard, identity, skips: new Map() });
  };
  const log = new ScriptLog()
    .reference("rates", { id: "x", version: 1, from: T0, data: { rate: 2 } })
    .run([{ look: "x" }, { say: "done" }]);
  const [record, event] = log.entries;
  let fold = newFold();
  fold.open(record!);
  while (fold.unit());
  store.commit(fold.seal().changes, () => fold.committed());
  fold = newFold();
  fold.open(event!);
  while (fold.unit());
  assert.deepEqual(
    readOutputs(fold.takeOutputs()).map(({ data }) => data.text),
    ["v1 2", "done"],
  );
  // On for the schema's check of the event; then for the handler, off twice for the two rows of the record, and off at its end.
  assert.deepEqual(turns, [true, false, true, false, true, false, true, false]);
});
