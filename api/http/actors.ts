/** Actors: keys of a type, and one actor's state as of the last commit of its shard. */
import type { FastifyInstance } from "fastify";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { partitionOf } from "../../runtime/log/slot-map.ts";
import type { Node, RunningJob } from "../../runtime/node/node.ts";
import type { ActorReport } from "../../runtime/node/state-reader.ts";
import { isCount, readCursor, writeCursor } from "./cursor.ts";
import { badRequest, notFound } from "./problem.ts";
import { type Query, readLimit, readText } from "./query.ts";

interface KeyCursor {
  readonly partition: number;
  readonly slot: number;
  readonly after: string;
}

export function actorRoutes(app: FastifyInstance, node: Node): void {
  app.get<{ Params: { type: string }; Querystring: Query }>("/v1/actors/:type", async (request) => {
    const { type } = request.params;
    const key = readText(request.query, "key");
    const prefix = readText(request.query, "prefix");
    const limit = readText(request.query, "limit");
    const cursor = readText(request.query, "cursor");
    const running = jobOf(node, type);
    if (key !== undefined) return await readActor(node, running, type, key);
    return await listKeys(node, running, type, prefix ?? "", readLimit(limit), readCursor(cursor, isKeyCursor));
  });

  app.get<{ Params: { type: string; key: string } }>("/v1/actors/:type/:key", async (request) => {
    const { type, key } = request.params;
    return await readActor(node, jobOf(node, type), type, key);
  });
}

async function readActor(node: Node, { job, map }: RunningJob, type: string, key: string): Promise<ActorReport> {
  const token = writeKey(key);
  if (token === undefined) throw badRequest("key: 1 to 256 bytes as written, well-formed Unicode.");
  const partition = partitionOf(map, slotOf(token));
  const place = { job: job.name, partition, folder: node.shardFolder(job.name, partition) };
  const actor = await node.reader.call("actor", (reader) => reader.actor(place, type, token));
  if (actor === undefined) throw notFound(`There is no actor "${type}" with the key "${key}".`);
  return actor;
}

async function listKeys(node: Node, { job, map }: RunningJob, type: string, prefix: string, limit: number, cursor: KeyCursor | undefined) {
  const prefixToken = prefix === "" ? "" : writeKey(prefix);
  if (prefixToken === undefined) throw badRequest("prefix: at most 256 bytes as written, well-formed Unicode.");
  const items: string[] = [];
  let from = { slot: cursor?.slot ?? 0, after: cursor?.after ?? "" };
  for (let partition = cursor?.partition ?? 0; partition < map.partitions; partition++) {
    const place = { job: job.name, partition, folder: node.shardFolder(job.name, partition) };
    const page = await node.reader.call("keys", (reader) => reader.keys(place, type, prefixToken, from, limit - items.length));
    items.push(...page.keys);
    if (page.next !== undefined) return { items, next: writeCursor({ partition, ...page.next } satisfies KeyCursor) };
    from = { slot: 0, after: "" };
  }
  return { items, next: null };
}

function jobOf(node: Node, type: string): RunningJob {
  const running = node.jobs.find(({ job }) => job.actors.some((actor) => actor.name === type));
  if (running === undefined) throw notFound(`There is no actor type "${type}".`);
  return running;
}

function isKeyCursor(value: unknown): value is KeyCursor {
  if (typeof value !== "object" || value === null) return false;
  const { partition, slot, after } = value as Readonly<Record<string, unknown>>;
  return isCount(partition) && isCount(slot) && typeof after === "string" && after.length <= 256;
}
