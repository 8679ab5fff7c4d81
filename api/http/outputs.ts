/** Outputs: pages of CloudEvents as published, oldest first per shard. The cursor holds a sequence per shard. */
import { Type } from "typebox";
import type { Job } from "../../actors/model/job.ts";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { isType } from "../../actors/model/stream.ts";
import { partitionOf } from "../../runtime/log/slot-map.ts";
import type { Node } from "../../runtime/node/node.ts";
import { jobNamed } from "./actor-place.ts";
import { isCount, readCursor, writeCursor } from "./cursor.ts";
import { badRequest } from "./problem.ts";
import { listOf, PAGE_QUERY, readLimit } from "./query.ts";
import type { Route } from "./route.ts";
import { CloudEvent, Key } from "./shapes.ts";

/** `<job>/<partition>` to the next sequence; a shard that is missing is read to its end. */
export type OutputCursor = Readonly<Record<string, number>>;

export function outputRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/outputs",
      role: "viewer",
      summary: "Outputs as published, oldest first within a shard",
      query: Type.Object({
        job: Type.Optional(Type.String({ description: "Only of this job or generation. Without it no generation's are shown." })),
        type: Type.Optional(Type.String({ description: "Only outputs of this type." })),
        key: Type.Optional(Key),
        ...PAGE_QUERY,
      }),
      answers: { 200: listOf(CloudEvent) },
      handle: async ({ query: { job, type, key, limit, cursor } }) => {
        if (type !== undefined && !isType(type)) throw badRequest("type: dot-joined tokens of A-Z a-z 0-9 _ -, at most 128 bytes.");
        const token = key === undefined ? undefined : writeKey(key);
        if (key !== undefined && token === undefined) throw badRequest("key: 1 to 256 bytes as written, well-formed Unicode.");
        if (job !== undefined) jobNamed(node, job);
        const filter = {
          ...(job === undefined ? {} : { job }),
          ...(token === undefined ? {} : { key: token }),
          ...(type === undefined ? {} : { type }),
        };
        return { status: 200, body: await readPage(node, filter, readLimit(limit), readCursor(cursor, isOutputCursor)) };
      },
    },
  ];
}

/** Whoever does not name a job follows those of the app: a generation would give him everything once more. */
export function isWanted({ name, origin }: Pick<Job, "name" | "origin">, wanted: string | undefined): boolean {
  return wanted === undefined ? origin === undefined : name === wanted;
}

export interface PageFilter {
  /** Without it those of the app, and no generation. */
  readonly job?: string;
  /** Written. */
  readonly key?: string;
  readonly type?: string;
}

/** A page of outputs over all shards, one after the other. */
export async function readPage(
  node: Pick<Node, "jobs" | "outputs">,
  { job: only, ...filter }: PageFilter,
  limit: number,
  cursor: OutputCursor | undefined,
) {
  const items: unknown[] = [];
  const next: Record<string, number> = { ...cursor };
  let more = false;
  for (const { job, map } of node.jobs) {
    if (!isWanted(job, only)) continue;
    for (let partition = 0; partition < map.partitions; partition++) {
      if (filter.key !== undefined && partitionOf(map, slotOf(filter.key)) !== partition) continue;
      const shard = `${job.name}/${partition}`;
      const from = cursor?.[shard] ?? 1;
      if (items.length >= limit) {
        more = true;
        continue;
      }
      const page = await node.outputs.page(job.name, partition, { from, limit: limit - items.length, ...filter });
      // What bears no chain was not written by Tidemark; the shard halts for it, and this page shows outputs only.
      for (const output of page.items) if (output.chain !== "") items.push(JSON.parse(Buffer.from(output.payload).toString()));
      const last = page.items.at(-1);
      next[shard] = page.next ?? (last === undefined ? from : last.k + 1);
      if (page.next !== undefined) more = true;
    }
  }
  return { items, next: more ? writeCursor(next) : null };
}

export function isOutputCursor(value: unknown): value is OutputCursor {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((sequence) => isCount(sequence) && sequence > 0)
  );
}
