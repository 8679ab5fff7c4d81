/** Restores: a job put back to a snapshot, or a generation of it begun from one. */
import { type Static, Type } from "typebox";
import type { Node } from "../../runtime/node/node.ts";
import { OperationBody, started } from "./operations.ts";
import type { Route } from "./route.ts";

const Restore = Type.Object(
  {
    snapshot: Type.String({ minLength: 1, maxLength: 128, description: "Id of a snapshot of a job; `newest` with `job`." }),
    job: Type.Optional(Type.String({ maxLength: 64, description: "Whose snapshot it must be." })),
    shards: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0, maximum: 1023 }), {
        minItems: 1,
        maxItems: 1024,
        description: "Only these are put back. Not with `generation`.",
      }),
    ),
    generation: Type.Optional(Type.String({ maxLength: 64, description: "Begins one of this name, instead of putting the job back." })),
  },
  { additionalProperties: false },
);

export function restoreRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v1/restores",
      role: "admin",
      summary: "Puts a job's shards back to a snapshot, from which they fold on; with `generation`, begins a generation from it",
      body: Restore,
      answers: { 202: OperationBody },
      command: true,
      handle: async ({ body, who }) => {
        const { snapshot, job, shards, generation } = body as Static<typeof Restore>;
        const wanted = {
          snapshot,
          ...(job === undefined ? {} : { job }),
          ...(shards === undefined ? {} : { shards: [...new Set(shards)].sort((a, b) => a - b) }),
          ...(generation === undefined ? {} : { generation }),
        };
        return started(await node.restores.start({ ...wanted, who }));
      },
    },
  ];
}
