/** Actors: keys of a type, and one actor's state, as of the last commit of its shard or of any moment of the past. */
import { Type } from "typebox";
import type { ActorReport } from "../../runtime/node/actor-report.ts";
import type { Node, RunningJob } from "../../runtime/node/node.ts";
import { isKeyCursor, JOB_QUERY, jobOf, type KeyCursor, readPlace, readPrefix } from "./actor-place.ts";
import { awaitPosition } from "./await-position.ts";
import { CONSISTENCY, readConsistency } from "./consistency.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { OperationBody } from "./operations.ts";
import { answerPast, PAST_QUERY, type PastQuery, pastShard, readTarget } from "./past.ts";
import { badRequest, notFound } from "./problem.ts";
import { listOf, PAGE_QUERY, readLimit } from "./query.ts";
import type { Route, RouteAnswer } from "./route.ts";
import { Instant, Key, Position } from "./shapes.ts";

const Text = Type.String();
const Count = Type.Integer({ minimum: 0 });

const ActorState = Type.Object({
  type: Text,
  key: Key,
  shard: Count,
  position: Position,
  watermark: Type.Union([Instant, Type.Null()]),
  state: Type.Record(Text, Type.Unknown(), { description: "By cell." }),
  timers: Type.Array(
    Type.Object({
      name: Text,
      id: Text,
      at: Instant,
      clock: Type.Union([Type.Literal("event"), Type.Literal("processing")]),
      data: Type.Unknown(),
      armedBy: Type.String({ description: "Id of the event that armed it." }),
    }),
  ),
  expires: Type.Array(
    Type.Object(
      { cell: Text, entry: Type.Optional(Text), at: Instant },
      { description: "What goes by itself: a cell, or an entry of it." },
    ),
    { description: "The earliest first, at most 1,000 of them." },
  ),
  expiring: Type.Integer({ minimum: 0, description: "How many there are." }),
  sizes: Type.Record(Text, Type.Object({ entries: Count, bytes: Count }), {
    description: "By cell: what it costs on disk, with its places in the index of what expires. What has expired counts until it is swept.",
  }),
  dedupe: Type.Object({ count: Count, oldest: Type.Union([Instant, Type.Null()]), horizon: Text }),
  pending: Type.Array(
    Type.Object(
      { id: Text, effect: Text, requestedAt: Position, deadline: Instant, attempts: Count },
      { description: "A call that waits for its result, and the attempts of it by this node." },
    ),
  ),
});

const AFTER_QUERY = {
  consistency: CONSISTENCY,
  after: Type.Optional(Type.String({ description: "Wait until the state covers this position, as an append was answered with." })),
  wait: Type.Optional(Type.String({ description: "How long at most: seconds, or a duration like 500ms. Default 10s, at most 30s." })),
  ...PAST_QUERY,
};

export function actorRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/actors/{type}",
      role: "viewer",
      summary: "Keys that have an actor of the type; with `key`, that actor",
      params: Type.Object({ type: Text }),
      query: Type.Object({
        key: Type.Optional(Key),
        ...JOB_QUERY,
        ...AFTER_QUERY,
        prefix: Type.Optional(Type.String({ description: "Only keys that begin with it." })),
        ...PAGE_QUERY,
      }),
      answers: { 200: Type.Union([listOf(Text), ActorState]), 202: OperationBody },
      handle: async ({ params, query, who, signal }) => {
        const type = params.type!;
        const running = jobOf(node, type, query.job);
        if (query.key !== undefined) return await answerActor(node, running, type, query.key, { ...query, who, signal });
        const cursor = readCursor(query.cursor, isKeyCursor);
        return { status: 200, body: await listKeys(node, running, type, query.prefix ?? "", readLimit(query.limit), cursor) };
      },
    },
    {
      method: "GET",
      path: "/v1/actors/{type}/{key}",
      role: "viewer",
      summary:
        "One actor: its state as of the last commit of its shard; with `after`, of one that covers that position; with `at`, of then",
      params: Type.Object({ type: Text, key: Key }),
      query: Type.Object({ ...JOB_QUERY, ...AFTER_QUERY }),
      answers: { 200: ActorState, 202: OperationBody },
      handle: async ({ params, query, who, signal }) => {
        const type = params.type!;
        return await answerActor(node, jobOf(node, type, query.job), type, params.key!, { ...query, who, signal });
      },
    },
  ];
}

/** When the state is read: at once, or when it covers `after`; or the moment of the past that it is read of. */
interface ReadWhen extends PastQuery {
  readonly after?: string | undefined;
  readonly wait?: string | undefined;
  readonly consistency?: string | undefined;
  readonly who: string;
  readonly signal: AbortSignal;
}

async function answerActor(node: Node, running: RunningJob, type: string, key: string, when: ReadWhen): Promise<RouteAnswer> {
  const { place, token } = readPlace(running, key);
  const target = readTarget(when, place.partition);
  if (target === undefined) return { status: 200, body: await readActor(node, running, type, key, when) };
  if (when.after !== undefined) throw badRequest("after: not together with at or atEventTime.");
  const shard = pastShard(running, place.partition);
  const missing = `There was no actor "${type}" with the key "${key}" then.`;
  return await answerPast(node, shard, target, when, missing, async (past, watch) => {
    const actor = await node.history.actor(past, type, token, watch);
    // Nobody knows any more how often a call had been tried by then.
    return actor && { ...actor, pending: actor.pending.map((call) => ({ ...call, attempts: 0 })) };
  });
}

async function readActor(node: Node, running: RunningJob, type: string, key: string, when: ReadWhen) {
  const { place, token } = readPlace(running, key);
  const { after, wait, signal } = when;
  const consistency = readConsistency(when.consistency, after);
  if (after !== undefined) await awaitPosition(node, place, { after, wait, consistency, signal });
  const actor = await node.reads.read("actor", place, [type, token], consistency);
  if (actor === undefined) throw notFound(`There is no actor "${type}" with the key "${key}".`);
  return { ...actor, pending: await withAttempts(node, actor) };
}

/** The attempts so far, of calls that the node is making right now. */
async function withAttempts(
  node: Node,
  { pending, shard }: ActorReport,
): Promise<readonly (ActorReport["pending"][number] & { readonly attempts: number })[]> {
  if (pending.length === 0) return [];
  const inFlight = (await node.shards()).filter((report) => report.shard === shard).flatMap(({ effects }) => effects?.inFlight ?? []);
  const attempts = new Map(inFlight.map((call) => [call.id, call.attempts]));
  return pending.map((call) => ({ ...call, attempts: attempts.get(call.id) ?? 0 }));
}

async function listKeys(node: Node, { job, map }: RunningJob, type: string, prefix: string, limit: number, cursor: KeyCursor | undefined) {
  const prefixToken = readPrefix(prefix);
  const items: string[] = [];
  let from = { slot: cursor?.slot ?? 0, after: cursor?.after ?? "" };
  for (let partition = cursor?.partition ?? 0; partition < map.partitions; partition++) {
    const place = { job: job.name, partition, partitions: map.partitions };
    const page = await node.reads.read("keys", place, [type, prefixToken, from, limit - items.length]);
    items.push(...page.keys);
    if (page.next !== undefined) return { items, next: writeCursor({ partition, ...page.next } satisfies KeyCursor) };
    from = { slot: 0, after: "" };
  }
  return { items, next: null };
}
