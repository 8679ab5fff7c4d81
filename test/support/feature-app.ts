/** A job that keeps two features of each rider: how often and, by currency, for how much. Sums only rise, so that a step back shows. */
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { map } from "../../actors/model/cells/map.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";

const Paid = Type.Object({ currency: Type.String(), cents: Type.Integer() });

export const ridesCount = output("features.rides-1h", { schema: Type.Object({ count: Type.Integer() }), feature: { ttl: "1h" } });
export const ridesPaid = output("features.paid-30d", { schema: Paid, feature: { ttl: "30d", by: "currency" } });

const rider = actor("rider", {
  in: { paid: stream("rides.paid", { schema: Paid }) },
  out: { count: ridesCount, paid: ridesPaid, noted: output("rides.noted", { schema: Paid }) },
  state: { rides: counter(), cents: map(Type.Integer()) },
  on: {
    paid({ state, out }, { currency, cents }) {
      const sum = (state.cents.get(currency) ?? 0) + cents;
      state.cents.set(currency, sum);
      out.noted({ currency, cents });
      out.count({ count: state.rides.add() });
      out.paid({ currency, cents: sum });
    },
  },
});

export default job("rides", { log: "rides", actors: [rider], outOfOrderness: "40d", allowedLateness: "40d", dedupeHorizon: "90d" });
