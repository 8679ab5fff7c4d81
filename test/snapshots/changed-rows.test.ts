/** What is remembered of the rows that changed: enough for the next snapshot, and nothing of what lies behind the last one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ChangedRows } from "../../runtime/snapshots/changed-rows.ts";

const sealed = (n: number) => ({ stateHash: `state ${n}`, changes: [{ key: `row ${n}`, value: null }] });

test("groups that lie before a snapshot are forgotten when it counts, and those behind it are not", () => {
  const changed = new ChangedRows("state 0");
  for (let n = 1; n <= 10; n++) changed.note(sealed(n));
  assert.deepEqual(changed.between("state 0", "state 8"), new Set(Array.from({ length: 10 }, (_, i) => `row ${i + 1}`)));
  assert.notEqual(changed.between("state 0", "state 7"), undefined);
  changed.between("state 0", "state 8");
  changed.note(sealed(11));
  changed.taken("state 8");
  assert.equal(changed.between("state 8", "state 7"), undefined);
  assert.deepEqual(changed.between("state 8", "state 8"), new Set(["row 9", "row 10", "row 11"]));
  assert.deepEqual(changed.between("state 8", "state 11"), new Set(["row 9", "row 10", "row 11"]));
  changed.taken("state 11");
  assert.deepEqual(changed.between("state 11", "state 11"), new Set());
});
