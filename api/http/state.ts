/**
 * What the state of jobs costs on disk, and what of it expires when. A page is sums over a bounded number of rows, read by
 * the reader thread a few at a time, so that no shard is held up; whoever asks adds the pages up.
 */
import { Type } from "typebox";
import { formatInstant, HOUR_MS } from "../../actors/model/time.ts";
import type { Node, RunningJob } from "../../runtime/node/node.ts";
import { type ExpiryCount, type PartSize, type SizePlace, sampleOf, type WalkPiece } from "../../runtime/node/state-walk.ts";
import { isCount, readCursor, writeCursor } from "./cursor.ts";
import { notFound } from "./problem.ts";
import { listOf, PAGE_QUERY, readLimit } from "./query.ts";
import type { Route } from "./route.ts";
import { Instant } from "./shapes.ts";

/** Rows that one request reads, and that the reader reads at a time. */
const ROWS_MAX = 20_000;
const ROWS_AT_ONCE = 1_000;
const SAMPLE_MAX = 1_024;

const Text = Type.String();
const Count = Type.Integer({ minimum: 0 });
const OfCell = { actor: Type.Union([Text, Type.Null()]), cell: Type.Union([Text, Type.Null()]) };

const Size = Type.Object({
  job: Text,
  part: Type.Union([Type.Literal("cell"), Type.Literal("dedupe"), Type.Literal("keys")], {
    description: "A cell of an actor; the event ids that keys remember; what else the rows of keys hold, such as timers and calls.",
  }),
  ...OfCell,
  actors: Type.Integer({ minimum: 0, description: "Keys in which it is something." }),
  entries: Type.Integer({ minimum: 0, description: "Entries of a cell, ids, or timers and calls." }),
  bytes: Count,
});

const Expiring = Type.Object({
  job: Text,
  from: Instant,
  ...OfCell,
  count: Count,
});

interface Cursor<P> {
  readonly job: string;
  readonly partition: number;
  readonly at: P;
}

const JOB_QUERY = Type.Optional(Type.String({ description: "Only of this job." }));

export function stateRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/state/sizes",
      role: "viewer",
      summary: "What cells cost on disk: sums over a piece of the state; add up those of all pages",
      query: Type.Object({
        job: JOB_QUERY,
        sample: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: SAMPLE_MAX,
            default: SAMPLE_MAX,
            description: "Look into so many of 1024 slots, and multiply.",
          }),
        ),
        cursor: PAGE_QUERY.cursor,
      }),
      answers: { 200: listOf(Size) },
      handle: async ({ query, signal }) => {
        const sample = Number(query.sample ?? SAMPLE_MAX);
        return { status: 200, body: await sizes(node, query.job, sample, readCursor(query.cursor, isSizeCursor), signal) };
      },
    },
    {
      method: "GET",
      path: "/v1/state/expiries",
      role: "viewer",
      summary: "How much expires when, by hour or day: sums over a piece of the index; add up those of all pages",
      query: Type.Object({
        job: JOB_QUERY,
        by: Type.Optional(Type.Union([Type.Literal("hour"), Type.Literal("day")], { default: "hour", description: "Length of a span." })),
        ...PAGE_QUERY,
      }),
      answers: { 200: listOf(Expiring) },
      handle: async ({ query, signal }) => {
        const stepMs = query.by === "day" ? 24 * HOUR_MS : HOUR_MS;
        const cursor = readCursor(query.cursor, isExpiryCursor);
        return { status: 200, body: await expiries(node, query.job, stepMs, readLimit(query.limit), cursor, signal) };
      },
    },
  ];
}

async function sizes(node: Node, job: string | undefined, sample: number, cursor: Cursor<SizePlace> | undefined, signal: AbortSignal) {
  const sums = new Map<string, PartSize & { readonly job: string }>();
  const next = await walk(node, { job, start: { slot: 0, table: 0, after: "" }, cursor, signal }, async (shard, at) => {
    const { taken, of } = sampleOf(shard.partition, shard.partitions, sample);
    const piece = await node.reads.read("sizes", shard, [taken, at, ROWS_AT_ONCE]);
    for (const part of piece.sums) {
      const known = sums.get(nameOf(shard.job, part)) ?? { ...part, job: shard.job, actors: 0, entries: 0, bytes: 0 };
      for (const count of ["actors", "entries", "bytes"] as const) known[count] += Math.round((part[count] * of) / taken);
      sums.set(nameOf(shard.job, part), known);
    }
    return piece;
  });
  return { items: [...sums.values()], next };
}

async function expiries(
  node: Node,
  job: string | undefined,
  stepMs: number,
  limit: number,
  cursor: Cursor<string> | undefined,
  signal: AbortSignal,
) {
  const sums = new Map<string, ExpiryCount & { readonly job: string }>();
  const next = await walk(node, { job, start: "", cursor, signal }, async (shard, after) => {
    // A row makes one sum at the most.
    const rows = Math.min(ROWS_AT_ONCE, limit - sums.size);
    const piece = await node.reads.read("expiries", shard, [stepMs, after, rows]);
    for (const { count, ...span } of piece.sums) {
      const name = `${span.from} ${nameOf(shard.job, span)}`;
      const known = sums.get(name) ?? { ...span, job: shard.job, count: 0 };
      known.count += count;
      sums.set(name, known);
    }
    return { ...piece, full: sums.size >= limit };
  });
  return { items: [...sums.values()].map((span) => ({ ...span, from: formatInstant(span.from) })), next };
}

interface Walk<P> {
  readonly job: string | undefined;
  readonly start: P;
  readonly cursor: Cursor<P> | undefined;
  readonly signal: AbortSignal;
}

type Shard = { readonly job: string; readonly partition: number; readonly partitions: number };

/** Piece after piece of every shard, up to the bound of a request; gives the cursor of what is left. */
async function walk<P>(
  node: Node,
  { job, start, cursor, signal }: Walk<P>,
  take: (shard: Shard, at: P) => Promise<WalkPiece<unknown, P> & { readonly full?: boolean }>,
): Promise<string | null> {
  const jobs = runningJobs(node, job);
  let at: P = cursor?.at ?? start;
  let partition = cursor?.partition ?? 0;
  let left = ROWS_MAX;
  for (const { job: of, map } of jobs.slice(
    cursor === undefined
      ? 0
      : Math.max(
          0,
          jobs.findIndex((running) => running.job.name === cursor.job),
        ),
  )) {
    for (; partition < map.partitions; partition++) {
      for (;;) {
        if (left <= 0 || signal.aborted) return writeCursor({ job: of.name, partition, at } satisfies Cursor<P>);
        const shard = { job: of.name, partition, partitions: map.partitions };
        const piece = await take(shard, at);
        // An empty piece is work too.
        left -= Math.max(1, piece.rows);
        at = piece.next ?? start;
        if (piece.full === true) left = 0;
        if (piece.next === undefined) break;
      }
    }
    partition = 0;
  }
  return null;
}

/** Throws 404 when there is no such job. */
function runningJobs(node: Node, name: string | undefined): readonly RunningJob[] {
  const jobs = node.jobs.filter(({ job }) => name === undefined || job.name === name);
  if (jobs.length === 0) throw notFound(`There is no job "${name}".`);
  return jobs;
}

function nameOf(
  job: string,
  { actor, cell, part = "" }: { readonly actor: string | null; readonly cell: string | null; readonly part?: string },
): string {
  return `${job} ${part} ${actor} ${cell}`;
}

function isCursor(value: unknown): value is Cursor<unknown> {
  if (typeof value !== "object" || value === null) return false;
  const { job, partition } = value as Readonly<Record<string, unknown>>;
  return typeof job === "string" && isCount(partition);
}

function isSizeCursor(value: unknown): value is Cursor<SizePlace> {
  if (!isCursor(value) || typeof value.at !== "object" || value.at === null) return false;
  const { slot, table, after } = value.at as Readonly<Record<string, unknown>>;
  return isCount(slot) && isCount(table) && isRowPart(after);
}

function isExpiryCursor(value: unknown): value is Cursor<string> {
  return isCursor(value) && isRowPart(value.at);
}

/** A binary string, short enough that a row's key can begin with it. */
function isRowPart(value: unknown): value is string {
  return typeof value === "string" && value.length <= 1_900 && !/[^\0-\xff]/.test(value);
}
