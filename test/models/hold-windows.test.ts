/** Operators of a key that is held: what they are given later, they find as late as it was when it came. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { http } from "../../actors/model/effect.ts";
import { job } from "../../actors/model/job.ts";
import { count } from "../../actors/model/operators/windows/aggregates/numbers.ts";
import { tumbling } from "../../actors/model/operators/windows/time-window.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { testJob } from "../../runtime/testing/testing.ts";

const Sale = Type.Object({ asks: Type.Optional(Type.Boolean()) });
const till = actor("till", {
  in: { sale: stream("sale", { schema: Sale }) },
  out: { told: output("told", { schema: Type.Object({ end: Type.Integer(), count: Type.Integer() }) }) },
  state: { sales: tumbling("10s", { count: count() }), now: tumbling("10s", { count: count() }, { clock: "processing" }) },
  effects: { check: http("https://check.example/v1", { input: Sale, output: Sale, timeout: "1m", hold: true }) },
  on: {
    sale(ctx, sale) {
      ctx.state.sales.add(sale);
      ctx.state.now.add(sale);
      if (sale.asks === true) ctx.effects.check({});
    },
    sales: (ctx, { end, count: counted }) => ctx.out.told({ end: end - START, count: counted }),
    now: (ctx, { end, count: counted }) => ctx.out.told({ end: START - end, count: counted }),
    check: { done() {}, failed() {} },
  },
});
const tills = job("tills", { log: "tills", actors: [till], outOfOrderness: 0, allowedLateness: 0, maxAhead: "1d", idle: "hold" });
const START = Date.parse("2026-01-01T00:00:00Z");

async function told(answeredAtOnce: boolean): Promise<unknown> {
  const kit = await testJob(tills, { start: START });
  const send = (at: number, key: string, asks = false) => kit.send("sale", key, { asks }, { time: START + at * 1_000 });
  const answer = async (): Promise<void> => {
    for (const call of kit.calls(till)) await kit.reply(call, {});
  };
  await send(1, "ann", true);
  if (answeredAtOnce) await answer();
  await send(3, "ann");
  await kit.advanceClock("12s");
  await send(9, "ann");
  await send(60, "bob");
  await send(61, "ann");
  await kit.advanceClock("12s");
  await answer();
  await send(80, "bob");
  await kit.verifyReplay();
  const data = kit.outputs("told").flatMap(({ key, data: { end, count: counted } }) => (key === "ann" ? [`${end} ${counted}`] : []));
  assert.deepEqual(kit.outputs("tidemark.late"), []);
  await kit.close();
  return data.sort();
}

test("a window counts what was held as if the answer had come at once, on both clocks", async () => {
  const held = await told(false);
  assert.deepEqual(held, await told(true));
  assert.deepEqual(held, ["-10000 2", "-20000 2", "10000 3", "70000 1"].sort());
});
