/** Where an actor lies: the job that has its type, and the shard of its key. */
import { Type } from "typebox";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { partitionOf } from "../../runtime/log/slot-map.ts";
import type { Node, RunningJob } from "../../runtime/node/node.ts";
import type { ShardPlace } from "../../runtime/node/shard-reads.ts";
import { isCount } from "./cursor.ts";
import { badRequest, notFound } from "./problem.ts";

/** Throws 404 when this node runs no job or generation of that name. */
export function jobNamed(node: Node, name: string): RunningJob {
  const running = node.jobs.find(({ job }) => job.name === name);
  if (running === undefined) throw notFound(`There is no job "${name.slice(0, 64)}".`);
  return running;
}

/** Of a query that may ask a generation. */
export const JOB_QUERY = {
  job: Type.Optional(
    Type.String({ description: "As this job or generation has it. Without it the job of the app that declares the type." }),
  ),
};

/** Throws 404 when no job, or not the one named, has such actors. */
export function jobOf(node: Node, type: string, name?: string): RunningJob {
  const jobs = name === undefined ? node.jobs : [jobNamed(node, name)];
  const running = jobs.find(({ job }) => job.actors.some((actor) => actor.name === type));
  if (running === undefined) throw notFound(`There is no actor type "${type}".`);
  return running;
}

/** How far a walk over the actors of a type has come. */
export interface KeyCursor {
  readonly partition: number;
  readonly slot: number;
  readonly after: string;
}

export function isKeyCursor(value: unknown): value is KeyCursor {
  if (typeof value !== "object" || value === null) return false;
  const { partition, slot, after } = value as Readonly<Record<string, unknown>>;
  return isCount(partition) && isCount(slot) && typeof after === "string" && after.length <= 256;
}

/** As a written token; empty for all keys. Throws 400 for what no key can begin with. */
export function readPrefix(prefix: string): string {
  const token = prefix === "" ? "" : writeKey(prefix);
  if (token === undefined) throw badRequest("prefix: at most 256 bytes as written, well-formed Unicode.");
  return token;
}

/** Throws 400 for a text that is no key. */
export function readPlace({ job, map }: RunningJob, key: string): { readonly place: ShardPlace; readonly token: string } {
  const token = writeKey(key);
  if (token === undefined) throw badRequest("key: 1 to 256 bytes as written, well-formed Unicode.");
  const partition = partitionOf(map, slotOf(token));
  return { place: { job: job.name, partition }, token };
}
