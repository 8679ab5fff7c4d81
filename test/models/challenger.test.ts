/** Which events a challenger is asked for: a share of them by what they are, and the same ones whenever the log is folded again. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { decodeCall } from "../../actors/fold/call-row.ts";
import { callsOf, readCallRow, TABLE } from "../../actors/fold/keys.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import type { ShardStore } from "../../runtime/store/shard-store.ts";
import { T0, TestLog } from "../support/entries.ts";
import { scoredJob } from "../support/scored.ts";

const EVENTS = 100_000;
const KEYS = 1_000;
const SHARE = 0.1;

function history() {
  const log = new TestLog("payments");
  const version = (digit: number) => ({ version: digit, sha256: String(digit).repeat(64) });
  const data = { champion: version(1), challenger: { ...version(2), share: SHARE } };
  log.reference("_models", { id: "fraud", version: 1, from: 0, data });
  for (let i = 0; i < EVENTS; i += 100) {
    const events = Array.from({ length: 100 }, (_, j) => ({
      id: `p${i + j}`,
      type: "payment.made",
      key: `k${(i + j) % KEYS}`,
      time: T0,
      data: { amount: j },
    }));
    log.batch(events, 1);
  }
  return log.history(scoredJob());
}

/** Causes of the calls that wait, by the part in which the model is asked, sorted. */
function askedFor(store: ShardStore) {
  const asked = { champion: [] as string[], challenger: [] as string[] };
  for (const { key, value } of store.scan(callsOf(), `${TABLE.call}\xff`, Number.POSITIVE_INFINITY)) {
    const { model, cause } = decodeCall(readCallRow(key), value);
    asked[model!.role].push(cause);
  }
  return { champion: asked.champion.sort(), challenger: asked.challenger.sort() };
}

suite("a challenger with a share of a tenth", () => {
  test("is asked for a tenth of the events, each as the champion is, and for the same ones in a replay that crashes", () => {
    const entries = history();
    const first = foldHistory(entries);
    const asked = askedFor(first.store);
    assert.equal(asked.champion.length, EVENTS);
    assert.equal(new Set(asked.challenger).size, asked.challenger.length);
    const share = asked.challenger.length / EVENTS;
    assert(Math.abs(share - SHARE) <= 0.01, `${share} of the events`);
    const again = foldHistory(entries, { commitEveryUnits: 20_011, crash: true });
    assert.deepEqual(askedFor(again.store), asked);
    assert.equal(again.stateHash, first.stateHash);
  });
});
