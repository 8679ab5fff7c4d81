/** Two jobs on one log: one says how much each account has come to after every entry, the other only counts them. */
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";

const Paid = Type.Object({ cents: Type.Integer() });
const Sum = Type.Object({ n: Type.Integer(), cents: Type.Integer() });

const paid = stream("ledger.paid", { schema: Paid });

const account = actor("account", {
  in: { paid },
  out: { sum: output("features.ledger", { schema: Sum, feature: { ttl: "30d" } }) },
  state: { n: counter(), cents: counter() },
  on: {
    paid({ state, out }, { cents }) {
      out.sum({ n: state.n.add(), cents: state.cents.add(cents) });
    },
  },
});

const watcher = actor("watcher", {
  in: { paid },
  out: { seen: output("ledger.seen", { schema: Type.Object({ n: Type.Integer() }) }) },
  state: { n: counter() },
  on: {
    paid({ state, out }) {
      out.seen({ n: state.n.add() });
    },
  },
});

const options = { log: "ledger", outOfOrderness: "40d", allowedLateness: "40d", dedupeHorizon: "90d", idle: "hold" } as const;

export default [job("ledger", { actors: [account], ...options }), job("watch", { actors: [watcher], ...options })];
