/**
 * Trips: everything that a generation has to take over. A timer that asks a service at RATES_URL, a window, a table, a
 * feature, and a handler that fails until it is mended.
 */
import { Type } from "typebox";
import { actor, timer } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { http } from "../../actors/model/effect.ts";
import { job } from "../../actors/model/job.ts";
import { sum } from "../../actors/model/operators/windows/aggregates/numbers.ts";
import { tumbling } from "../../actors/model/operators/windows/time-window.ts";
import { reference } from "../../actors/model/reference.ts";
import { output, stream } from "../../actors/model/stream.ts";

const Paid = Type.Object({ cents: Type.Integer(), bad: Type.Optional(Type.Boolean()) });
const Question = Type.Object({ rider: Type.String(), trip: Type.Integer() });
const Any = Type.Unknown();

const rider = actor("rider", {
  in: { paid: stream("trip.paid", { schema: Paid }), mended: stream("trip.mended", { schema: Type.Object({}) }) },
  out: {
    noted: output("trip.noted", { schema: Any }),
    summed: output("trip.summed", { schema: Any }),
    rated: output("trip.rated", { schema: Any }),
    total: output("features.total", { schema: Type.Object({ cents: Type.Integer() }), feature: { ttl: "30d" } }),
  },
  state: {
    trips: value(Type.Integer(), 0),
    cents: value(Type.Integer(), 0),
    mended: value(Type.Boolean(), false),
    minutes: tumbling("1m", { cents: sum((one: { readonly cents: number }) => one.cents) }),
  },
  timers: { quiet: timer("event", Type.Object({ trip: Type.Integer() })) },
  effects: { rate: http(`${process.env.RATES_URL ?? "http://127.0.0.1:1"}/rate`, { input: Question, output: Any, timeout: "1m" }) },
  reference: { tariffs: reference("tariffs", { schema: Type.Object({ name: Type.String() }) }) },
  on: {
    paid(ctx, { cents, bad }) {
      if (bad === true && !ctx.state.mended.get()) throw new Error("not mended");
      ctx.state.trips.update((count) => count + 1);
      const trip = ctx.state.trips.get();
      ctx.state.cents.update((before) => before + cents);
      ctx.state.minutes.add({ cents });
      ctx.out.noted({ trip, draw: ctx.random(), id: ctx.uuid(), tariff: ctx.reference.tariffs.get("day")?.data.name ?? null });
      ctx.out.total({ cents: ctx.state.cents.get() });
      ctx.timers.quiet.at(ctx.now + 90_000, { trip });
      ctx.effects.rate({ rider: ctx.key, trip });
    },
    mended: (ctx) => ctx.state.mended.set(true),
    minutes: (ctx, fired) => void ctx.out.summed({ ...fired }),
    quiet: (ctx, fired) => void ctx.out.noted({ quiet: fired.data.trip }),
    rate: {
      done: (ctx, result, call) => void ctx.out.rated({ ...call, result }),
      failed: (ctx, failure, call) => void ctx.out.rated({ ...call, failure }),
    },
  },
});

export default job("trips", { log: "trips", actors: [rider], outOfOrderness: "1s", allowedLateness: "1h", dedupeHorizon: "24h" });
