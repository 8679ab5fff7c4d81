/** Operations: long work, started by other routes, looked at and cancelled here. */
import { Type } from "typebox";
import { formatInstant } from "../../actors/model/time.ts";
import { ERRORS } from "../../runtime/errors.ts";
import type { Node } from "../../runtime/node/node.ts";
import type { Operation } from "../../runtime/node/operations.ts";
import { HttpProblem, notFound } from "./problem.ts";
import { listOf } from "./query.ts";
import type { Route, RouteAnswer } from "./route.ts";
import { Instant } from "./shapes.ts";

const Text = Type.String();

export const OperationBody = Type.Object({
  id: Text,
  kind: Text,
  who: Text,
  status: Type.Union([Type.Literal("running"), Type.Literal("succeeded"), Type.Literal("failed"), Type.Literal("cancelled")]),
  done: Type.Number({ minimum: 0 }),
  total: Type.Union([Type.Number({ minimum: 0 }), Type.Null()], { description: "Null until it is known." }),
  unit: Type.String({ description: "Of `done` and `total`." }),
  startedAt: Instant,
  endedAt: Type.Union([Instant, Type.Null()]),
  result: Type.Optional(Type.Unknown({ description: "What it came to, when it has succeeded." })),
  error: Type.Optional(Type.Object({ code: Text, detail: Text, advice: Text }, { description: "Why it has failed, and what to do." })),
});

export function operationRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/operations",
      role: "viewer",
      summary: "Operations that this node remembers, the newest first",
      answers: { 200: listOf(OperationBody) },
      handle: async () => ({ status: 200, body: { items: node.operations.list().map(operationBody), next: null } }),
    },
    {
      method: "GET",
      path: "/v1/operations/{id}",
      role: "viewer",
      summary: "Progress of long work, and in the end its result",
      params: Type.Object({ id: Text }),
      answers: { 200: OperationBody },
      handle: async ({ params }) => ({ status: 200, body: operationBody(known(node, params.id!)) }),
    },
    {
      method: "POST",
      path: "/v1/operations/{id}/cancel",
      role: "operator",
      summary: "Asks running work to end; what it has written by then is cleared away or of no consequence",
      params: Type.Object({ id: Text }),
      answers: { 202: OperationBody },
      command: true,
      handle: async ({ params }) => {
        const { id } = known(node, params.id!);
        if (!node.operations.cancel(id)) throw new HttpProblem(409, "OPERATION_ENDED", `The operation ${id} has ended.`);
        return { status: 202, body: operationBody(known(node, id)) };
      },
    },
  ];
}

/** 202 with the record of what was started. */
export function started(operation: Operation): RouteAnswer {
  return { status: 202, headers: { location: `/v1/operations/${operation.id}` }, body: operationBody(operation) };
}

export function operationBody(operation: Operation) {
  const { id, kind, who, status, done, total, unit, startedAt, endedAt, result, error } = operation;
  return {
    id,
    kind,
    who,
    status,
    done,
    total: total ?? null,
    unit,
    startedAt: formatInstant(startedAt),
    endedAt: endedAt === undefined ? null : formatInstant(endedAt),
    ...(status === "succeeded" ? { result: result ?? null } : {}),
    ...(error === undefined ? {} : { error: { code: error.code, detail: error.detail, advice: ERRORS[error.code] } }),
  };
}

function known(node: Node, id: string): Operation {
  const operation = node.operations.get(id);
  if (operation === undefined)
    throw notFound(`There is no operation "${id}" on this node; it forgets the oldest ended ones, and all with its end.`);
  return operation;
}
