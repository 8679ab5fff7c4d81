/** Two jobs on one log that look prices up in one table: what was used is charged at the price of its time. */
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { job } from "../../actors/model/job.ts";
import { reference } from "../../actors/model/reference.ts";
import { output, stream } from "../../actors/model/stream.ts";

export const Tariff = Type.Object({ price: Type.Number({ minimum: 0 }) });
const Usage = Type.Object({ tariff: Type.String(), units: Type.Number() });
const Charge = Type.Object({ units: Type.Number(), price: Type.Union([Type.Number(), Type.Null()]) });

const usage = stream("billing.usage", { schema: Usage });
const tariffs = reference("tariffs", { schema: Tariff });

const account = actor("account", {
  in: { usage },
  out: { charge: output("billing.charge", { schema: Charge }) },
  state: { units: value(Type.Number(), 0) },
  reference: { tariffs },
  on: {
    usage(ctx, { tariff, units }) {
      ctx.state.units.update((sum) => sum + units);
      ctx.out.charge({ units, price: ctx.reference.tariffs.get(tariff)?.data.price ?? null });
    },
  },
  queries: { used: ({ state }) => state.units.get() },
});

const auditor = actor("auditor", {
  in: { usage },
  out: { seen: output("billing.seen", { schema: Type.Object({ versions: Type.Array(Type.Integer()) }) }) },
  reference: { tariffs, limits: reference("limits", { schema: Type.Object({ units: Type.Number() }) }) },
  on: {
    usage(ctx, { tariff }) {
      ctx.out.seen({ versions: ctx.reference.tariffs.versions(tariff).map(({ version }) => version) });
    },
  },
});

const options = { log: "billing", outOfOrderness: "40d", allowedLateness: "40d", dedupeHorizon: "90d", idle: "hold" } as const;

export default [job("billing", { actors: [account], ...options }), job("audit", { actors: [auditor], ...options })];
