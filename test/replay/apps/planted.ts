/** Jobs that break the rule that a fold depends on its entries alone, each in a way that a real author might. */
import { Type } from "typebox";
import { actor } from "../../../actors/model/actor.ts";
import { value } from "../../../actors/model/cells/value.ts";
import { type Job, job } from "../../../actors/model/job.ts";
import { output, stream } from "../../../actors/model/stream.ts";

const reading = stream("meter.reading", { schema: Type.Object({ deviceId: Type.String(), value: Type.Number() }) });
const seen = output("seen", { schema: Type.Object({ what: Type.Union([Type.String(), Type.Number()]) }) });

function planted(name: string, what: (key: string) => string | number): Job {
  const planter = actor(name, {
    in: { reading },
    out: { seen },
    state: { count: value(Type.Integer(), 0) },
    on: {
      reading(ctx) {
        ctx.state.count.update((count) => count + 1);
        ctx.out.seen({ what: what(ctx.key) });
      },
    },
  });
  return job(name, { log: "meter", actors: [planter] });
}

let counter = 0;
const byArrival = new Map<string, true>();

export default [
  planted("clean", (key) => key.length),
  planted("clock", () => Date.now()),
  planted("new-date", () => new Date().toISOString()),
  planted("randomness", () => Math.random()),
  planted("counter", () => ++counter),
  planted("unordered", (key) => {
    // A cache by last use: its order is the thread's history, not the log's.
    byArrival.delete(key);
    byArrival.set(key, true);
    return [...byArrival.keys()].join(" ");
  }),
];
