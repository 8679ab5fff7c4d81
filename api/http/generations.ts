/** Generations of jobs: what there is, which one sinks follow, and their end. A restore begins one. */
import { Type } from "typebox";
import { formatInstant } from "../../actors/model/time.ts";
import type { ListedGeneration } from "../../runtime/generations/generations.ts";
import type { Node } from "../../runtime/node/node.ts";
import { OperationBody, started } from "./operations.ts";
import { listOf, pageOf, WHOLE_QUERY } from "./query.ts";
import type { Route } from "./route.ts";
import { Instant, Position } from "./shapes.ts";

const Text = Type.String();
const Count = Type.Integer({ minimum: 0 });

const Generation = Type.Object({
  name: Type.String({ description: "Of the job under which it runs: `<job>-<generation>`." }),
  job: Text,
  generation: Text,
  status: Type.Union(["beginning", "ready", "dropping"].map((status) => Type.Literal(status))),
  active: Type.Boolean({ description: "Sinks follow its outputs, not those of its job." }),
  who: Text,
  begunAt: Instant,
  of: Type.String({ description: "The snapshot that it was begun from." }),
  version: Count,
  codeHash: Text,
  shards: Type.Array(
    Type.Object({
      shard: Count,
      position: Type.String({ ...Position, description: "The last event that is in the state with which it begins." }),
      base: Type.String({ description: "The shard snapshot of that state." }),
      root: Type.Integer({ minimum: 1, description: "Sequence of its first epoch entry: from there on its journal is its own." }),
    }),
  ),
});

const Switched = Type.Object({
  to: Type.String({ description: "The job whose outputs sinks follow now." }),
  who: Text,
  at: Instant,
  positions: Type.Record(Text, Position, { description: "Where the shards of both stood, by job and shard." }),
  already: Type.Boolean({ description: "It was so before: nothing was done." }),
});

const PARAMS = Type.Object({ job: Text, generation: Text });

export function generationRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/generations",
      role: "viewer",
      summary: "Generations of jobs, and which of them sinks follow",
      query: Type.Object(WHOLE_QUERY),
      answers: { 200: listOf(Generation) },
      handle: async ({ query }) => ({ status: 200, body: pageOf((await node.generations.list()).map(shown), query) }),
    },
    {
      method: "POST",
      path: "/v1/generations/{job}/{generation}/switch",
      role: "admin",
      summary: "Sinks follow the outputs of that generation from now on; the generation `origin` is the job itself",
      params: PARAMS,
      answers: { 200: Switched },
      command: true,
      handle: async ({ params, who }) => {
        const { at, ...switched } = await node.generations.switchTo(params.job!, params.generation!, who);
        return { status: 200, body: { ...switched, at: formatInstant(at) } };
      },
    },
    {
      method: "DELETE",
      path: "/v1/generations/{job}/{generation}",
      role: "admin",
      summary: "Drops a generation: its shards stop, its outputs, state and snapshots are deleted",
      params: PARAMS,
      answers: { 202: OperationBody },
      command: true,
      handle: async ({ params, who }) => started(await node.generations.drop(params.job!, params.generation!, who)),
    },
  ];
}

function shown(generation: ListedGeneration) {
  const { name, job, generation: own, status, active, who, begunAt, of, version, codeHash, shards } = generation;
  return { name, job, generation: own, status, active, who, begunAt: formatInstant(begunAt), of, version, codeHash, shards };
}
