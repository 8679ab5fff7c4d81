/** Outputs as they come (SSE). One tail for each shard serves all who follow it. */
import { Readable } from "node:stream";
import { Type } from "typebox";
import { writeKey } from "../../actors/model/key.ts";
import { isType } from "../../actors/model/stream.ts";
import type { Node } from "../../runtime/node/node.ts";
import { OutputTail } from "../../runtime/outputs/output-tail.ts";
import { jobNamed } from "./actor-place.ts";
import { readCursor } from "./cursor.ts";
import { type FeedPlace, firstPlace, outputFeed, shardsOfFilter } from "./output-feed.ts";
import { isOutputCursor } from "./outputs.ts";
import { badRequest } from "./problem.ts";
import type { Route } from "./route.ts";
import { Key } from "./shapes.ts";

const EVENT_STREAM = "text/event-stream";

export function outputStreamRoutes(node: Node): readonly Route[] {
  const tails = new Map<string, OutputTail>();
  const tailOf = (job: string, partition: number): OutputTail => {
    const shard = `${job}/${partition}`;
    let tail = tails.get(shard);
    if (tail === undefined) {
      tail = new OutputTail(node.outputs, job, partition);
      tails.set(shard, tail);
    }
    return tail;
  };
  return [
    {
      method: "GET",
      path: "/v1/outputs/stream",
      role: "viewer",
      summary: "Outputs as they come, as server-sent events; Last-Event-ID resumes",
      query: Type.Object({
        job: Type.Optional(Type.String({ description: "Only of this job or generation. Without it no generation's are shown." })),
        type: Type.Optional(Type.String({ description: "Only outputs of this type." })),
        key: Type.Optional(Key),
        from: Type.Optional(
          Type.Union([Type.Literal("end"), Type.Literal("start")], {
            default: "end",
            description: "Without a cursor: only new ones, or all from the first.",
          }),
        ),
        cursor: Type.Optional(Type.String({ maxLength: 16_384, description: "As Last-Event-ID, which goes before it." })),
      }),
      answers: { 200: EVENT_STREAM },
      long: true,
      handle: async ({ query, headers, signal }) => {
        if (query.job !== undefined) jobNamed(node, query.job);
        const filter = { ...readFilter(query.type, query.key), ...(query.job === undefined ? {} : { job: query.job }) };
        const cursor = readCursor(headers["last-event-id"] ?? query.cursor, isOutputCursor);
        const places = await Promise.all(
          shardsOfFilter(node, filter).map(async ({ job, partition }): Promise<FeedPlace> => {
            const wanted = cursor === undefined ? (query.from === "start" ? 1 : "end") : (cursor[`${job}/${partition}`] ?? 1);
            return { job, partition, tail: tailOf(job, partition), next: await firstPlace(node, job, partition, wanted) };
          }),
        );
        const feed = Readable.from(outputFeed(node, places, { filter, signal }));
        return { status: 200, headers: { "cache-control": "no-store", "x-accel-buffering": "no" }, body: feed };
      },
    },
  ];
}

function readFilter(type: string | undefined, key: string | undefined) {
  if (type !== undefined && !isType(type)) throw badRequest("type: dot-joined tokens of A-Z a-z 0-9 _ -, at most 128 bytes.");
  const token = key === undefined ? undefined : writeKey(key);
  if (key !== undefined && token === undefined) throw badRequest("key: 1 to 256 bytes as written, well-formed Unicode.");
  return { ...(token === undefined ? {} : { key: token }), ...(type === undefined ? {} : { type }) };
}
