import assert from "node:assert/strict";
import { test } from "node:test";
import { DamagedRow } from "../../actors/fold/damaged-row.ts";
import { TABLE } from "../../actors/fold/keys.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { TestLog } from "../support/entries.ts";
import { everythingJob } from "../support/everything-app.ts";
import { allRows, storeOfRows } from "../support/flipped-rows.ts";

const job = everythingJob(1);
const acts = ["map", "look", "value"].map((act) => ({ do: act, id: "a", at: 60_000 }));

for (const [table, what] of [
  [TABLE.key, "the row of a key"],
  [TABLE.entry, "an entry that a handler asks for"],
] as const) {
  test(`${what} that cannot be decoded stops the fold, and is no failure of the event`, () => {
    const log = new TestLog("all");
    const event = (id: string) => log.event({ id, key: "a", type: "run", time: log.logTime, data: { acts, later: [] } }, 1);
    event("e1");
    const rows = allRows(foldHistory(log.history(job)).store);
    const damaged = rows.map((row) => (row.key[0] === table ? { ...row, value: new Uint8Array([1]) } : row));
    event("e2");
    assert.throws(
      () => foldHistory({ ...log.history(job), store: storeOfRows(damaged) }),
      (error) => error instanceof DamagedRow && /key "a"/.test(error.message),
    );
  });
}
