/** A key that was given far more than an explanation shows is explained all the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import meter from "../../actors/meter/meter.ts";
import { explain, planExplanation } from "../../runtime/history/explanation.ts";
import type { HistoricTarget } from "../../runtime/history/historic-target.ts";
import { T0, TestLog } from "../support/entries.ts";
import { questionsWorld, watching } from "../support/questions-world.ts";

const EVENTS = 12_500;

test("of a long-lived key the last 10,000 inputs are shown, gathered in pieces", async (t) => {
  const log = new TestLog("meter");
  for (let i = 1; i <= EVENTS; i++) log.event({ id: `e${i}`, time: T0 + i }, 1);
  const world = await questionsWorld(t, log, meter);
  const { history, shard } = world;
  const question = { shard, k: 1, token: "d1", position: { partition: 0, sequence: EVENTS, index: 0 } };
  const plan = await planExplanation(history, question);
  let most = 0;
  const visit = history.visit.bind(history);
  history.visit = async (past, watch, run) =>
    await visit(past, watch, async (fold) => {
      const foldTo = async (target: HistoricTarget, itemsMax?: number) => {
        const items = await fold.foldTo(target, itemsMax);
        most = Math.max(most, items.length);
        return items;
      };
      return await run({ ...fold, stand: fold.stand, foldTo });
    });
  const explanation = await explain(history, question, plan, watching());
  const events = explanation.inputs.filter(({ kind }) => kind === "event");
  assert.equal(events.length, 10_000);
  assert.equal(events.at(-1)?.position, `0:${EVENTS}.0`);
  assert.equal(explanation.complete, false);
  assert.ok(most <= 3_000, `${most} items were held at once`);
  await history.stop();
});
