/** Queries of actors: answered by the reader thread from committed rows, so that no question holds up a shard. */
import { Type } from "typebox";
import type { Node } from "../../runtime/node/node.ts";
import { jobOf, readPlace } from "./actor-place.ts";
import { awaitPosition } from "./await-position.ts";
import { HttpProblem, notFound } from "./problem.ts";
import type { Route } from "./route.ts";
import { Instant, Key, Position } from "./shapes.ts";

const Question = Type.Object({
  key: Key,
  input: Type.Optional(Type.Unknown({ description: "What the query asks for: any JSON." })),
  after: Type.Optional(Type.String({ description: "Wait until the state covers this position." })),
  wait: Type.Optional(Type.String({ description: "How long at most. Default 10s, at most 30s." })),
});

const Answer = Type.Object({
  position: Position,
  watermark: Type.Union([Instant, Type.Null()]),
  answer: Type.Unknown({ description: "What the query gave." }),
});

export function queryRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v1/actors/{type}/queries/{name}",
      role: "viewer",
      summary: "Asks one actor a question that its type declares, of its state as of the last commit of its shard",
      params: Type.Object({ type: Type.String(), name: Type.String() }),
      body: Question,
      answers: { 200: Answer },
      handle: async ({ params, body, signal }) => {
        const { type, name } = params as { readonly type: string; readonly name: string };
        const question = body as { readonly key: string; readonly input?: unknown; readonly after?: string; readonly wait?: string };
        const running = jobOf(node, type);
        const declared = running.job.actors.find((actor) => actor.name === type)!.queries;
        if (!Object.hasOwn(declared, name)) throw notFound(`Actors of type "${type}" have no query "${name}".`);
        const { place, token } = readPlace(node, running, question.key);
        const { after, wait } = question;
        if (after !== undefined) await awaitPosition(node, place, { after, wait, signal });
        const given = await node.reader.call("query", (reader) => reader.query(place, type, token, name, question.input ?? null));
        if (given === undefined) throw notFound(`There is no actor "${type}" with the key "${question.key}".`);
        const { position, watermark, result } = given;
        if (!result.ok) throw new HttpProblem(result.code === "STATE_OLD_SHAPE" ? 409 : 422, result.code, result.message);
        return { status: 200, body: { position, watermark, answer: JSON.parse(result.json) as unknown } };
      },
    },
  ];
}
