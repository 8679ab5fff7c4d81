/**
 * A job for tests of the API: it says what it was handed, keeps the last of it, and fails when it is asked to, in the
 * handler of an event or of a timer; until it is mended.
 */
import { Type } from "typebox";
import { actor, timer } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";

/** Id of an event behind which nothing fails any more. */
export const MENDED = "mended";

const Seen = Type.Object({ id: Type.String(), data: Type.Unknown() });

export const echo = actor("echo", {
  in: {
    said: stream("echo.said", { schema: Type.Unknown() }),
    failing: stream("echo.failing", { schema: Type.Unknown() }),
    arming: stream("echo.arming", { schema: Type.Unknown() }),
  },
  out: { seen: output("echo.seen", { schema: Seen }) },
  state: { count: value(Type.Integer(), 0), last: value(Type.String()) },
  timers: { alarm: timer("event", Type.Unknown()) },
  on: {
    said(ctx, data, { id }) {
      ctx.state.count.update((count) => count + 1);
      ctx.state.last.set(id);
      ctx.out.seen({ id, data });
    },
    failing(ctx, data, { id }) {
      if (ctx.state.last.get() !== MENDED) throw new Error("asked to fail");
      ctx.out.seen({ id, data });
    },
    arming: (ctx, data) => ctx.timers.alarm.at(ctx.now, data),
    alarm(ctx, { name, data }) {
      if (ctx.state.last.get() !== MENDED) throw new Error("asked to fail at an alarm");
      ctx.out.seen({ id: name, data });
    },
  },
  queries: {
    more: ({ key, state }, input) => ({ key, count: state.count.get() + Number((input as { readonly than: number }).than) }),
    writes: ({ state }) => (state.last as unknown as { set(value: string): void }).set("x"),
    large: () => "x".repeat(1024 * 1024),
    nothing() {},
    loops() {
      for (;;);
    },
  },
});

/** Event time stands still but for events: what a test does not say does not happen. */
export default job("echo", {
  log: "echo",
  actors: [echo],
  outOfOrderness: "1m",
  allowedLateness: "24h",
  dedupeHorizon: "48h",
  idle: "hold",
});
