/**
 * Two stages: visits to pages are counted for each visitor in spans of five seconds, and what each visitor had is summed
 * over all of them. The log `visits` is keyed by page and has a job of its own, `visitors` is fed from it by a pump, and
 * `spans` from the outputs of `visitors`.
 */
import { Type } from "typebox";
import { actor, timer } from "../../actors/model/actor.ts";
import { map } from "../../actors/model/cells/map.ts";
import { value } from "../../actors/model/cells/value.ts";
import { job } from "../../actors/model/job.ts";
import { outputsOf, repartition } from "../../actors/model/repartition.ts";
import { output, stream } from "../../actors/model/stream.ts";

export const SPAN_MS = 5_000;

const Visit = Type.Object({ visitor: Type.String(), ordinal: Type.Number() });
const Seen = Type.Object({ page: Type.String(), ordinal: Type.Number() });
const Part = Type.Object({ span: Type.Number(), visits: Type.Number() });
export const visit = stream("visit", { schema: Visit });

const page = actor("page", {
  in: { visit },
  state: { visits: value(Type.Number(), 0) },
  on: {
    visit: (ctx) => ctx.state.visits.update((visits) => visits + 1),
  },
});

const visitor = actor("visitor", {
  in: { visit },
  out: { seen: output("visit.seen", { schema: Seen }), part: output("span.part", { schema: Part }) },
  state: { spans: map(Type.String(), Type.Number()) },
  timers: { end: timer("event", Type.Object({ span: Type.Number() })) },
  on: {
    visit(ctx, { ordinal }, { source, time }) {
      ctx.out.seen({ page: source, ordinal });
      const span = Math.floor(time / SPAN_MS);
      ctx.state.spans.set(`${span}`, (ctx.state.spans.get(`${span}`) ?? 0) + 1);
      ctx.timers.end.at((span + 1) * SPAN_MS, { span }, `${span}`);
    },
    end(ctx, { data: { span } }) {
      ctx.out.part({ span, visits: ctx.state.spans.get(`${span}`)! });
      ctx.state.spans.delete(`${span}`);
    },
  },
});

export const part = stream("span.part", { schema: Part });

const span = actor("span", {
  in: { part },
  out: { total: output("span.total", { schema: Type.Object({ span: Type.Number(), visits: Type.Number(), parts: Type.Number() }) }) },
  state: { visits: value(Type.Number(), 0), parts: value(Type.Number(), 0) },
  timers: { end: timer("event", Type.Object({ span: Type.Number() })) },
  on: {
    part(ctx, { span, visits }) {
      ctx.state.visits.update((sum) => sum + visits);
      ctx.state.parts.update((parts) => parts + 1);
      ctx.timers.end.at((span + 1) * SPAN_MS, { span });
    },
    end: (ctx, { data }) => ctx.out.total({ span: data.span, visits: ctx.state.visits.get(), parts: ctx.state.parts.get() }),
  },
});

const common = { outOfOrderness: "10s", allowedLateness: 0, idle: "hold" } as const;

export const visits = job("visits", { ...common, log: "visits", actors: [page] });

export const visitors = job("visitors", {
  ...common,
  log: "visitors",
  from: [repartition("visits", { streams: [visit], key: (event) => event.data.visitor })],
  actors: [visitor],
});

export const spans = job("spans", {
  ...common,
  log: "spans",
  from: [repartition(outputsOf("visitors"), { streams: [part], key: (event) => `${event.data.span}` })],
  actors: [span],
});

export default [visits, visitors, spans];
