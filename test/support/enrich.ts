/**
 * Orders that are enriched by a look-up at a server of the test: the order names the path, and so the fault. An order
 * may ask for many calls at once; what came of each is put out.
 */
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { http } from "../../actors/model/effect.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";

const Order = Type.Object({ customer: Type.String(), calls: Type.Optional(Type.Integer()) });
const Question = Type.Object({ customer: Type.String(), n: Type.Integer() });
const Enriched = Type.Object({ customer: Type.String(), n: Type.Integer(), call: Type.String(), segment: Type.String() });

export interface EnrichOptions {
  readonly path?: string;
  readonly timeout?: string | number;
  readonly method?: "GET" | "POST";
  readonly mayRepeat?: boolean;
  /** A second service, that is called for customers whose names begin with `other`. */
  readonly otherUrl?: string;
  readonly otherTimeout?: number;
  readonly without?: boolean;
}

/** `url`: of the server, without a path. */
export function enrichJob(url: string, options: EnrichOptions = {}): Job {
  const { path = "/segment", timeout = "30s", method = "GET", mayRepeat, otherUrl = url, otherTimeout, without = false } = options;
  const exchange = { input: Question, output: Type.Object({ segment: Type.String() }), timeout };
  const repeat = mayRepeat === undefined ? {} : { mayRepeat };
  const streams = { in: { placed: stream("order.placed", { schema: Order }) } };
  const outputs = { out: { enriched: output("order.enriched", { schema: Enriched }) } };
  const settings = { log: "orders", outOfOrderness: 0, allowedLateness: "30d", dedupeHorizon: "60d", idle: "hold" } as const;
  if (without) return job("orders", { ...settings, actors: [actor("order", { ...streams, ...outputs, on: { placed() {} } })] });
  const order = actor("order", {
    ...streams,
    ...outputs,
    state: { results: counter() },
    effects: {
      segment: http(`${url}${path}`, { ...exchange, ...repeat, method }),
      other: http(`${otherUrl}/other`, { ...exchange, ...repeat, method, timeout: otherTimeout ?? timeout }),
    },
    on: {
      placed(ctx, { customer, calls = 1 }) {
        for (let n = 1; n <= calls; n++) {
          if (customer.startsWith("other")) ctx.effects.other({ customer, n });
          else ctx.effects.segment({ customer, n });
        }
      },
      segment: {
        done(ctx, { segment }, { id, input }) {
          ctx.state.results.add();
          ctx.out.enriched({ ...input, call: id, segment });
        },
        failed(ctx, { code }, { id, input }) {
          ctx.state.results.add();
          // A customer that the service does not know is no fault: it has a segment of its own.
          ctx.out.enriched({ ...input, call: id, segment: code === "HTTP_404" ? "unknown" : `failed: ${code}` });
        },
      },
      other: {
        done: (ctx, { segment }, { id, input }) => ctx.out.enriched({ ...input, call: id, segment }),
        failed: (ctx, { code }, { id, input }) => ctx.out.enriched({ ...input, call: id, segment: `failed: ${code}` }),
      },
    },
  });
  return job("orders", { ...settings, actors: [order] });
}
