/**
 * One actor per customer: counts orders, and tells once when their sum reaches a limit. A day without an order, in event
 * time, and it starts over.
 *
 * Handlers see only `ctx`, never the clock or the network, so that the same events always give the same outputs. Raise
 * `version` with every change of behaviour.
 */
import { actor, counter, DAY_MS, output, stream, Type, timer, value } from "tidemark";

export const LIMIT = 1000;

const Order = Type.Object({ amount: Type.Number({ minimum: 0 }) });
const BigSpender = Type.Object({ orders: Type.Integer(), total: Type.Number() });

export const customer = actor("customer", {
  version: 1,
  in: { placed: stream("order.placed", { schema: Order }) },
  out: { bigSpender: output("customer.big-spender", { schema: BigSpender }) },
  state: { orders: counter(), total: value(Type.Number(), 0) },
  timers: { quiet: timer("event") },
  on: {
    placed(ctx, order) {
      const before = ctx.state.total.get();
      const total = before + order.amount;
      const orders = ctx.state.orders.add();
      ctx.state.total.set(total);
      // Set again, it moves.
      ctx.timers.quiet.at(ctx.now + DAY_MS);
      if (before < LIMIT && total >= LIMIT) ctx.out.bigSpender({ orders, total });
    },
    quiet(ctx) {
      ctx.state.orders.delete();
      ctx.state.total.delete();
    },
  },
});
