/**
 * What a stranger may get wrong, each a compile error at the place of the mistake: checked with the repository's sources
 * and, copied into an installed project, with the package's types. Nothing here is ever called.
 */
import { actor, job, output, stream, Type, timer, value } from "tidemark";

const Order = Type.Object({ amount: Type.Number() });
const parts = {
  in: { placed: stream("order.placed", { schema: Order }) },
  out: { total: output("customer.total", { schema: Type.Object({ total: Type.Number() }) }) },
  state: { orders: value(Type.Array(Order), []) },
  timers: { due: timer("event", Type.Object({ amount: Type.Number() })) },
};

export function right() {
  return actor("right", {
    ...parts,
    on: {
      placed(ctx, order, info) {
        const amount: number = order.amount;
        const id: string = info.id;
        ctx.state.orders.update((orders) => [...orders, { amount }]);
        ctx.timers.due.at(ctx.now, { amount }, id);
        ctx.out.total({ total: amount });
      },
      due(ctx, fired) {
        const amount: number = fired.data.amount;
        void [ctx.key, amount];
      },
    },
  });
}

export function wrong(): void {
  // @ts-expect-error a handler is missing
  actor("wrong", { ...parts, on: { placed() {} } });
  actor("wrong", {
    ...parts,
    // @ts-expect-error no stream and no timer has that name
    on: { placed() {}, due() {}, payed() {} },
  });
  actor("wrong", {
    ...parts,
    on: {
      placed(ctx, order) {
        // @ts-expect-error no such field in the event
        void order.amuont;
        // @ts-expect-error the event is read-only
        order.amount = 1;
        // @ts-expect-error no such output
        ctx.out.sum({ total: 1 });
        // @ts-expect-error another type than the output's schema
        ctx.out.total({ total: "1" });
        // @ts-expect-error no such cell
        ctx.state.order.get();
        // @ts-expect-error what get() gives is read-only
        ctx.state.orders.get().push({ amount: 1 });
        // @ts-expect-error no such timer
        ctx.timers.dew.cancel();
        // @ts-expect-error the timer's data is missing
        ctx.timers.due.at(ctx.now);
        // @ts-expect-error there is no clock and no network
        ctx.fetch("/");
      },
      due() {},
    },
  });
  // @ts-expect-error a job needs a log
  job("wrong", { actors: [right()] });
  // @ts-expect-error no such option
  job("wrong", { log: "orders", actors: [right()], lateness: "1m" });
}
