/** A small bank for tests of the kit: every kind of cell, both clocks, and handlers that fail when asked to. */
import { Type } from "typebox";
import { actor, timer } from "../../../actors/model/actor.ts";
import { counter } from "../../../actors/model/cells/counter.ts";
import { map } from "../../../actors/model/cells/map.ts";
import { set } from "../../../actors/model/cells/set.ts";
import { value } from "../../../actors/model/cells/value.ts";
import { job } from "../../../actors/model/job.ts";
import { output, stream } from "../../../actors/model/stream.ts";

const Paid = Type.Object({ amount: Type.Integer(), shop: Type.String() });

export const paid = stream("account.paid", { schema: Paid });
export const total = output("account.total", { schema: Type.Object({ total: Type.Integer(), payments: Type.Integer() }) });

export const account = actor("account", {
  in: { paid, closed: stream("account.closed", { schema: Type.Object({}) }) },
  out: { total, quiet: output("account.quiet", { schema: Type.Object({ since: Type.Integer(), at: Type.Integer() }) }) },
  state: {
    total: value(Type.Integer(), 0),
    payments: counter(),
    shops: set(Type.String()).ttl("1h"),
    byShop: map(Type.Integer()),
    lastId: value(Type.String()),
  },
  timers: { report: timer("event", Type.Integer()), quiet: timer("processing") },
  on: {
    paid(ctx, { amount, shop }, { id }) {
      if (amount === 0) throw new RangeError("nothing was paid");
      if (amount < 0) ctx.quarantine("negative-amount");
      ctx.state.total.update((sum) => sum + amount);
      ctx.state.payments.add();
      ctx.state.shops.add(shop);
      ctx.state.byShop.update(shop, (sum = 0) => sum + amount);
      ctx.state.lastId.set(id);
      ctx.timers.report.at(Math.floor(ctx.now / 60_000) * 60_000 + 59_999, amount);
      ctx.timers.quiet.at(ctx.processingTime + 5_000);
    },
    closed: (ctx) => ctx.timers.report.cancel(),
    report(ctx, fired) {
      if (fired.data === 13) throw new Error("thirteen");
      ctx.out.total({ total: ctx.state.total.get(), payments: ctx.state.payments.get() });
    },
    quiet: (ctx) => ctx.out.quiet({ since: ctx.now, at: ctx.processingTime }),
  },
});

export default job("accounts", {
  log: "accounts",
  actors: [account],
  outOfOrderness: "1s",
  allowedLateness: "10m",
  dedupeHorizon: "1h",
  idle: "hold",
});
