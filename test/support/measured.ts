/**
 * Orders whose look-up gives a report of as many characters as the order asks for: far more than an output holds, so what
 * is put out is its length and its hash.
 */
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { http } from "../../actors/model/effect.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { type FaultyServer, startFaultyServer } from "./faulty-server.ts";
import type { Cleanup } from "./nats.ts";

const Order = Type.Object({ chars: Type.Array(Type.Integer()), fails: Type.Optional(Type.Boolean()) });
const Question = Type.Object({ chars: Type.Integer(), fails: Type.Optional(Type.Boolean()) });
const Measured = Type.Object({ chars: Type.Integer(), hash: Type.String(), call: Type.String() });

/** `url`: of the server that {@link startReports} gives. `failing`: handlers throw where the order says so. */
export function measuredJob(url: string, failing = true): Job {
  const order = actor("order", {
    in: { placed: stream("order.placed", { schema: Order }) },
    out: { measured: output("order.measured", { schema: Measured }) },
    state: { chars: counter() },
    effects: {
      report: http(`${url}/report`, { method: "GET", input: Question, output: Type.Object({ report: Type.String() }), timeout: "2m" }),
    },
    on: {
      placed(ctx, { chars, fails = false }) {
        for (const each of chars) ctx.effects.report({ chars: each, fails });
      },
      report: {
        done(ctx, { report }, { id, input }) {
          if (failing && input.fails === true) throw new Error("not today");
          ctx.state.chars.add(report.length);
          ctx.out.measured({ chars: report.length, hash: ctx.sha256(report), call: id });
        },
        failed: (ctx, { code }, { id }) => ctx.out.measured({ chars: 0, hash: code, call: id }),
      },
    },
  });
  return job("orders", { log: "orders", outOfOrderness: 0, allowedLateness: "30d", dedupeHorizon: "60d", idle: "hold", actors: [order] });
}

/** Not of one byte each, and not the same twice in a row. */
export function reportOf(chars: number): string {
  return "Prüfbericht № 12 — ".repeat(Math.ceil(chars / 19)).slice(0, chars);
}

export interface Reports extends FaultyServer {
  /** Answers wait until released. */
  hold(): void;
  letGo(): void;
  readonly held: number;
}

export async function startReports(t: Cleanup): Promise<Reports> {
  const held: (() => void)[] = [];
  let holds = false;
  const server = await startFaultyServer(t, {
    report: ({ path }, response) => {
      const chars = Number(new URL(path, "http://x").searchParams.get("chars"));
      const answer = (): void => {
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ report: reportOf(chars) }));
      };
      if (holds) held.push(answer);
      else answer();
    },
  });
  return Object.defineProperties(server, {
    hold: {
      value: () => {
        holds = true;
      },
    },
    letGo: {
      value: () => {
        holds = false;
        for (const answer of held.splice(0)) answer();
      },
    },
    held: { get: () => held.length },
  }) as Reports;
}
