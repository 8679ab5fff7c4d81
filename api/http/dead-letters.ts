/** Dead letters: what handlers failed on. Listed, shown with the event they were made of, and put back through the log. */
import { type Static, Type } from "typebox";
import type { Job } from "../../actors/model/job.ts";
import { writeKey } from "../../actors/model/key.ts";
import { parsePosition } from "../../actors/model/position.ts";
import { storedMessage } from "../../runtime/log/jetstream-api.ts";
import type { Node } from "../../runtime/node/node.ts";
import { CHAIN_HEADER } from "../../runtime/outputs/output-headers.ts";
import { outputStreamName } from "../../runtime/outputs/output-layout.ts";
import { primitives } from "../../runtime/primitives.ts";
import { jobNamed } from "./actor-place.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { DEAD_LETTER_TYPE, DeadLetter, deadLetterOf, readOutputId } from "./dead-letter.ts";
import { isOutputCursor, type OutputCursor, type PageFilter, readPage } from "./outputs.ts";
import { badRequest, notFound } from "./problem.ts";
import { listOf, PAGE_QUERY, readLimit } from "./query.ts";
import { RedriveOutcome, RedriveOutcomes } from "./redrive-outcomes.ts";
import { RedriveNote, Redrives } from "./redrives.ts";
import type { Route } from "./route.ts";
import { CloudEvent, Key, Position } from "./shapes.ts";
import { storedEvent } from "./stored-event.ts";

const Text = Type.String();
/** Pages of outputs that one request looks through for those that are wanted. */
const PAGES_MAX = 20;

const Listed = Type.Object({
  ...DeadLetter.properties,
  redriven: Type.Optional(
    Type.Union([RedriveOutcome, Type.Null()], {
      description: "What became of it when it was put back; null when it was not; absent when the shard has too many audits to tell.",
    }),
  ),
});

const Shown = Type.Object({
  ...DeadLetter.properties,
  event: Type.Union([CloudEvent, Type.Object({}, { additionalProperties: true }), Type.Null()], {
    description: "As the log holds it; null when the log was trimmed, and for a timer.",
  }),
  redrives: Type.Union([Type.Array(RedriveNote), Type.Null()], {
    description: "Commands that put it back; null when the journal has grown too long behind it to tell.",
  }),
});

const Reason = Type.Object({ reason: Type.Optional(Type.String({ maxLength: 500 })) }, { additionalProperties: false });

export function deadLetterRoutes(node: Node): readonly Route[] {
  const redrives = new Redrives(node.nc, node.results);
  return [
    {
      method: "GET",
      path: "/v1/dead-letters",
      role: "viewer",
      summary: "Dead letters, oldest first within a shard",
      query: Type.Object({
        job: Type.Optional(Text),
        key: Type.Optional(Key),
        handler: Type.Optional(Type.String({ description: "`<actor>.<handler>`" })),
        open: Type.Optional(Type.Literal("true", { description: "Only those that were not put back, as far as the audits tell." })),
        ...PAGE_QUERY,
      }),
      answers: { 200: listOf(Listed) },
      handle: async ({ query: { job, key, handler, open, limit, cursor } }) => {
        if (job !== undefined) jobNamed(node, job);
        const token = key === undefined ? undefined : writeKey(key);
        if (key !== undefined && token === undefined) throw badRequest("key: 1 to 256 bytes as written, well-formed Unicode.");
        const filter = { type: DEAD_LETTER_TYPE, ...(job === undefined ? {} : { job }), ...(token === undefined ? {} : { key: token }) };
        return {
          status: 200,
          body: await list(node, filter, { handler, open: open === "true" }, readLimit(limit), readCursor(cursor, isOutputCursor)),
        };
      },
    },
    {
      method: "GET",
      path: "/v1/dead-letters/{id}",
      role: "viewer",
      summary: "One dead letter, with the event it was made of and what was done about it",
      params: Type.Object({ id: Text }),
      answers: { 200: Shown },
      handle: async ({ params }) => {
        const { job, letter } = await find(node, params.id!);
        const position = letter.timer === undefined ? parsePosition(letter.position) : undefined;
        const event = position === undefined ? undefined : await storedEvent(node.nc, job.log, position);
        return { status: 200, body: { ...letter, event: event ?? null, redrives: (await redrives.of(job, letter)) ?? null } };
      },
    },
    {
      method: "POST",
      path: "/v1/dead-letters/{id}/redrive",
      role: "operator",
      summary: "Puts a dead letter back through the log",
      params: Type.Object({ id: Text }),
      body: Reason,
      bodyOptional: true,
      answers: { 202: Type.Object({ deadLetter: Text, position: Position }) },
      command: true,
      handle: async ({ params, body, who }) => {
        const { job, letter } = await find(node, params.id!);
        const { reason } = (body ?? {}) as Static<typeof Reason>;
        return { status: 202, body: { deadLetter: letter.id, position: await redrives.append(job, letter, who, reason) } };
      },
    },
  ];
}

/** Whole pages, as long as there is room: how many of one are wanted is known only when it was read. */
async function list(
  node: Node,
  filter: PageFilter,
  { handler, open }: { readonly handler: string | undefined; readonly open: boolean },
  limit: number,
  cursor: OutputCursor | undefined,
) {
  const items: Static<typeof Listed>[] = [];
  const outcomes = new RedriveOutcomes(node);
  let from = cursor;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const page = await readPage(node, filter, limit - items.length, from);
    const letters = page.items.flatMap((output) => deadLetterOf(output) ?? []);
    for (const letter of letters) {
      if (handler !== undefined && letter.handler !== handler) continue;
      const redriven = await outcomes.of(letter.id);
      if (!open || redriven === null || redriven === undefined) items.push(redriven === undefined ? letter : { ...letter, redriven });
    }
    if (page.next === null || items.length === limit) return { items, next: page.next };
    from = readCursor(page.next, isOutputCursor);
  }
  return { items, next: writeCursor(from) };
}

/** Throws 404 for an id that names no output, or one that is no dead letter. Asked of the stream's leader. */
async function find(node: Node, id: string): Promise<{ readonly job: Job; readonly letter: DeadLetter }> {
  const place = readOutputId(id);
  if (place === undefined) throw notFound(`"${id.slice(0, 64)}" is no id of a dead letter: it is <job>.<shard>.<k>.`);
  const { job, map } = jobNamed(node, place.job);
  const output =
    place.shard < map.partitions
      ? await storedMessage(node.nc, outputStreamName(job.name, place.shard), { next_by_subj: ">", seq: place.k })
      : undefined;
  const isOurs = output?.sequence === place.k && output.headers?.has(CHAIN_HEADER) === true;
  const letter = isOurs ? deadLetterOf(JSON.parse(primitives.decodeUtf8(output.payload) ?? "{}")) : undefined;
  if (letter === undefined) throw notFound(`There is no dead letter ${id}.`);
  return { job, letter };
}
