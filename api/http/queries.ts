/** Queries of actors: answered by the reader thread from committed rows, so that no question holds up a shard. */
import { type Static, Type } from "typebox";
import type { Node, RunningJob } from "../../runtime/node/node.ts";
import { isKeyCursor, jobOf, type KeyCursor, readPlace, readPrefix } from "./actor-place.ts";
import { awaitPosition } from "./await-position.ts";
import { CONSISTENCY, readConsistency } from "./consistency.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { HttpProblem, notFound } from "./problem.ts";
import { listOf } from "./query.ts";
import type { Route } from "./route.ts";
import { Instant, Key, Position } from "./shapes.ts";

const Question = Type.Object({
  key: Key,
  input: Type.Optional(Type.Unknown({ description: "What the query asks for: any JSON." })),
  after: Type.Optional(Type.String({ description: "Wait until the state covers this position." })),
  wait: Type.Optional(Type.String({ description: "How long at most. Default 10s, at most 30s." })),
  consistency: CONSISTENCY,
});

const Answer = Type.Object({
  position: Position,
  watermark: Type.Union([Instant, Type.Null()]),
  answer: Type.Unknown({ description: "What the query gave." }),
});

/** Actors that one request asks at the most, and at a time. */
const ASKED_MAX = 5_000;
const ASKED_AT_ONCE = 250;
const ANSWERS_DEFAULT = 100;
/** Of one page, as JSON; one answer has at most 1 MiB. */
const ANSWER_CHARS_MAX = 4 * 1024 * 1024;

const EachQuestion = Type.Object({
  input: Type.Optional(Type.Unknown({ description: "What the query asks for: any JSON." })),
  prefix: Type.Optional(Type.String({ description: "Only keys that begin with it." })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: "Answers of a page, at most. Default 100." })),
  cursor: Type.Optional(Type.String({ maxLength: 16_384, description: "`next` of the page before, unchanged." })),
});
type EachQuestion = Static<typeof EachQuestion>;

const EachAnswer = Type.Object({
  key: Key,
  answer: Type.Optional(Type.Unknown({ description: "What the query gave." })),
  error: Type.Optional(Type.Object({ code: Type.String(), detail: Type.String() }, { description: "Why it gave nothing." })),
});

export function queryRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v1/actors/{type}/queries/{name}/each",
      role: "viewer",
      summary: "Asks every actor of the type, page by page; those whose answer is null are left out",
      params: Type.Object({ type: Type.String(), name: Type.String() }),
      body: EachQuestion,
      bodyOptional: true,
      answers: { 200: listOf(EachAnswer) },
      handle: async ({ params, body, signal }) => {
        const { type, name } = params as { readonly type: string; readonly name: string };
        return {
          status: 200,
          body: await askEach(node, declaredQuery(node, type, name), type, name, (body ?? {}) as EachQuestion, signal),
        };
      },
    },
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
        const question = body as Static<typeof Question>;
        const running = declaredQuery(node, type, name);
        const { place, token } = readPlace(running, question.key);
        const { after, wait } = question;
        const consistency = readConsistency(question.consistency, after);
        if (after !== undefined) await awaitPosition(node, place, { after, wait, consistency, signal });
        const given = await node.reads.read("query", place, [type, token, name, question.input ?? null], consistency);
        if (given === undefined) throw notFound(`There is no actor "${type}" with the key "${question.key}".`);
        const { position, watermark, result } = given;
        if (!result.ok) throw new HttpProblem(result.code === "STATE_OLD_SHAPE" ? 409 : 422, result.code, result.message);
        return { status: 200, body: { position, watermark, answer: JSON.parse(result.json) as unknown } };
      },
    },
  ];
}

/** Throws 404 when there is no such type, or it has no such query. */
function declaredQuery(node: Node, type: string, name: string): RunningJob {
  const running = jobOf(node, type);
  const declared = running.job.actors.find((actor) => actor.name === type)!.queries;
  if (!Object.hasOwn(declared, name)) throw notFound(`Actors of type "${type}" have no query "${name}".`);
  return running;
}

async function askEach(node: Node, running: RunningJob, type: string, name: string, question: EachQuestion, signal: AbortSignal) {
  const { job, map } = running;
  const { input = null, limit = ANSWERS_DEFAULT } = question;
  const prefixToken = readPrefix(question.prefix ?? "");
  let at: KeyCursor = readCursor(question.cursor, isKeyCursor) ?? { partition: 0, slot: 0, after: "" };
  const items: Static<typeof EachAnswer>[] = [];
  let chars = 0;
  for (let left = ASKED_MAX; at.partition < map.partitions; ) {
    if (left <= 0 || items.length >= limit || chars > ANSWER_CHARS_MAX || signal.aborted) return { items, next: writeCursor(at) };
    const { partition, slot, after } = at;
    const place = { job: job.name, partition, partitions: map.partitions };
    const each = { name, input, asked: Math.min(ASKED_AT_ONCE, left), answers: limit - items.length };
    const page = await node.reads.read("askEach", place, [type, prefixToken, { slot, after }, each]);
    for (const { key, result } of page.answers) {
      if (result.ok) chars += result.json.length;
      items.push(
        result.ok ? { key, answer: JSON.parse(result.json) as unknown } : { key, error: { code: result.code, detail: result.message } },
      );
    }
    left -= page.asked;
    at = page.next === undefined ? { partition: partition + 1, slot: 0, after: "" } : { partition, ...page.next };
  }
  return { items, next: null };
}
