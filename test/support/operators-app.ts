/** A job with an operator of every kind, each of which tells what it fires. */
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { job } from "../../actors/model/job.ts";
import { batched } from "../../actors/model/operators/batched.ts";
import { intervalJoin } from "../../actors/model/operators/joins/interval-join.ts";
import { tableJoin } from "../../actors/model/operators/joins/table-join.ts";
import { temporalJoin } from "../../actors/model/operators/joins/temporal-join.ts";
import { versioned } from "../../actors/model/operators/joins/versioned.ts";
import { ordered } from "../../actors/model/operators/ordered.ts";
import { collect, distinct } from "../../actors/model/operators/windows/aggregates/elements.ts";
import { avg, count, sum } from "../../actors/model/operators/windows/aggregates/numbers.ts";
import { quantile } from "../../actors/model/operators/windows/aggregates/quantile.ts";
import { topK } from "../../actors/model/operators/windows/aggregates/top-k.ts";
import { countWindow } from "../../actors/model/operators/windows/count-window.ts";
import { globalWindow } from "../../actors/model/operators/windows/global-window.ts";
import { session } from "../../actors/model/operators/windows/session-window.ts";
import { sliding, tumbling } from "../../actors/model/operators/windows/time-window.ts";
import { begin } from "../../actors/model/patterns/pattern.ts";
import { pattern } from "../../actors/model/patterns/pattern-operator.ts";
import { output, stream } from "../../actors/model/stream.ts";

const Paid = Type.Object({ amount: Type.Number(), shop: Type.String(), back: Type.Boolean() });
type Paid = { amount: number; shop: string; back: boolean };

const rising = begin("low", { where: (one: Paid) => one.amount < 30 })
  .followedBy("high", { where: (one, { low }) => one.amount > low[0]!.amount + 40 })
  .within("2m")
  .skipPastLastEvent();

const tell = (operator: string) => (ctx: { readonly out: { told(data: unknown): unknown } }, fired: object) =>
  void ctx.out.told({ operator, ...fired });

export const everyOperator = actor("every-operator", {
  in: { paid: stream("paid", { schema: Paid }) },
  out: { told: output("told", { schema: Type.Unknown() }) },
  state: {
    minutes: tumbling("1m", { sum: sum((one: Paid) => one.amount), shops: distinct((one: Paid) => one.shop) }, { by: ({ shop }) => shop }),
    hour: sliding("10m", "2m", { mean: avg((one: Paid) => one.amount), p90: quantile(0.9, (one: Paid) => one.amount) }),
    log: tumbling("1s", { count: count() }, { clock: "processing" }),
    visit: session("30s", { amounts: collect((one: Paid) => one.amount, { max: 20 }) }),
    last: countWindow(5, { top: topK(2, (one: Paid) => one.shop) }, { slide: 2 }),
    all: globalWindow({ sum: sum((one: Paid) => one.amount) }, { every: "5m" }),
    sorted: ordered(Paid),
    batches: batched(Paid, { events: 5, bytes: 220, within: "300ms" }),
    returned: intervalJoin({ left: Paid, right: Paid, before: "5s", after: "1m", type: "outer", on: { left: shopOf, right: shopOf } }),
    priced: temporalJoin({ stream: Paid, table: Paid, type: "left" }),
    newest: tableJoin({ left: Paid, right: Paid, keep: "2m", type: "left" }),
    known: versioned(Paid),
    rising: pattern(Paid, rising),
  },
  on: {
    paid({ state }, one) {
      const { minutes, hour, log, visit, last, all, sorted, batches, rising } = state;
      for (const operator of [minutes, hour, log, visit, last, all, sorted, batches, rising]) operator.add(one);
      if (one.back) {
        state.returned.addRight(one);
        state.newest.addRight(one);
        state.priced.set(one);
        state.known.set(one);
      } else {
        state.returned.addLeft(one);
        state.newest.addLeft(one);
        state.priced.add(one);
      }
    },
    minutes: tell("minutes"),
    hour: tell("hour"),
    log: tell("log"),
    visit: tell("visit"),
    last: tell("last"),
    all: tell("all"),
    sorted: tell("sorted"),
    batches: tell("batches"),
    returned: tell("returned"),
    priced: tell("priced"),
    newest: tell("newest"),
    rising: tell("rising"),
  },
});

export default job("operators", {
  log: "operators",
  actors: [everyOperator],
  outOfOrderness: "10s",
  allowedLateness: "3m",
  dedupeHorizon: "1h",
  idle: "hold",
});

function shopOf({ shop }: Paid): string {
  return shop;
}
