/** Restores: a job put back to a snapshot, or a generation of it begun from one or from a moment of the past. */
import { type Static, Type } from "typebox";
import { TidemarkError } from "../../runtime/errors.ts";
import type { Node } from "../../runtime/node/node.ts";
import { OperationBody, started } from "./operations.ts";
import { readMoment } from "./past.ts";
import { notFound } from "./problem.ts";
import type { Route } from "./route.ts";

const Restore = Type.Object(
  {
    snapshot: Type.Optional(Type.String({ minLength: 1, maxLength: 128, description: "Id of a snapshot of a job; `newest` with `job`." })),
    at: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description:
          "In place of `snapshot`: a position, like 2:594.0, or a log time (RFC 3339) of the `job`, with whose state as of then the `generation` begins.",
      }),
    ),
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

type Wanted = Static<typeof Restore>;

export function restoreRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v1/restores",
      role: "admin",
      summary:
        "Puts a job's shards back to a snapshot, from which they fold on; with `generation`, begins a generation from it, or from a moment of the past",
      body: Restore,
      answers: { 202: OperationBody },
      command: true,
      handle: async ({ body, who }) => {
        const { snapshot, at, job, shards, generation } = body as Wanted;
        if (at !== undefined) return started(await node.restores.startAt({ ...pastOf(node, at, body as Wanted), who }));
        if (snapshot === undefined) throw new TidemarkError("INPUT_INVALID", "Give a snapshot, or at.");
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

/** Throws INPUT_INVALID, GENERATION_INVALID, or 404 for a job that does not run here. */
function pastOf(node: Node, at: string, { snapshot, job, shards, generation }: Wanted) {
  if (snapshot !== undefined) throw new TidemarkError("INPUT_INVALID", "snapshot and at: give one of them.");
  if (job === undefined) throw new TidemarkError("INPUT_INVALID", "at takes a job.");
  if (generation === undefined)
    throw new TidemarkError("GENERATION_INVALID", "A moment of the past begins a generation: give its name as generation.");
  if (shards !== undefined) throw new TidemarkError("GENERATION_INVALID", "A generation has all shards of its job; name none.");
  const moment = readMoment(at);
  if (!node.jobs.some((running) => running.job.name === job)) throw notFound(`There is no job "${job}".`);
  return { job, at: moment, generation };
}
