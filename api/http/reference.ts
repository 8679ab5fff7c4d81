/** Reference data: the records of a table, the versions of one, and putting a version. */
import { Type } from "typebox";
import { RESERVED_TABLES } from "../../actors/fold/activations.ts";
import { isName } from "../../actors/model/actor.ts";
import { readKey, writeKey } from "../../actors/model/key.ts";
import type { ReferenceTable } from "../../actors/model/reference.ts";
import { durationMs, formatInstant, parseInstant } from "../../actors/model/time.ts";
import { systemClock } from "../../runtime/clock.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import type { Node, RunningJob } from "../../runtime/node/node.ts";
import { type ActivationDraft, checkActivated } from "../../runtime/reference/activation.ts";
import { awaitCopies, type Copies } from "../../runtime/reference/copies.ts";
import { NatsReferenceLog } from "../../runtime/reference/reference-log.ts";
import { type PutResult, putRecord, type RecordDraft, readRecords } from "../../runtime/reference/reference-writer.ts";
import { isCount, readCursor, writeCursor } from "./cursor.ts";
import { badRequest, HttpProblem, notFound } from "./problem.ts";
import { listOf, PAGE_QUERY, readLimit } from "./query.ts";
import type { Route, RouteAnswer, RouteRequest } from "./route.ts";
import { Instant, Position } from "./shapes.ts";

const WAIT_DEFAULT = "5s";
const WAIT_MAX_MS = 30_000;
/** A record has at most 64 KiB in canonical form; written with spaces and escapes it may be longer. */
const BODY_MAX_BYTES = 512 * 1024;

const Name = Type.String({ description: "`[a-z][a-z0-9-]{0,30}`" });
const Table = Type.String({
  description:
    "As an actor declares it; or `_schemas`: schemas that are activated, by the type of the events; or `_models`: versions in force, by the model; or `_budgets`: what models and tenants may cost.",
});
const Id = Type.String({ description: "The record's id: 1 to 256 bytes as written, well-formed Unicode." });
const Version = Type.Integer({ minimum: 1, description: "Each version of an id is higher than those put before it." });
const Data = Type.Unknown({
  description:
    "As the table's schema says, in `_schemas` a JSON Schema, in `_models` champion and challenger, in `_budgets` units, per, reserve and shares; null ends the record.",
});
const Count = Type.Integer({ minimum: 0 });

const InForce = Type.Object({ id: Id, version: Version, effectiveFrom: Instant, data: Data, versions: Count });
const Stored = Type.Object({
  version: Version,
  effectiveFrom: Instant,
  data: Data,
  sequence: Type.Integer({ minimum: 1, description: "In the stream `<log>-reference`." }),
  storedAt: Instant,
});
const Put = Type.Object({
  table: Table,
  id: Id,
  version: Version,
  sequence: Type.Union([Count, Type.Null()], { description: "In the stream `<log>-reference`; null for a dry run of a new version." }),
  written: Type.Boolean({ description: "False when this version was there already with the same content." }),
  dryRun: Type.Boolean(),
  positions: Type.Array(Position, { description: "What is folded behind them has seen the record; one for each partition that has it." }),
  missing: Type.Array(Count, { description: "Partitions that did not have it in time; they will." }),
});

export function referenceRoutes(node: Node): readonly Route[] {
  const table = Type.Object({ log: Name, table: Table });
  const record = Type.Object({ log: Name, table: Table, id: Id });
  return [
    {
      method: "GET",
      path: "/v1/logs/{log}/reference/{table}",
      role: "viewer",
      summary: "Records of a table in force at a time, by id, as of the last commit of one shard",
      params: table,
      query: Type.Object({
        prefix: Type.Optional(Type.String({ description: "Only ids that begin with it." })),
        asOf: Type.Optional(Type.String({ description: "RFC 3339; default now." })),
        ...PAGE_QUERY,
      }),
      answers: { 200: listOf(InForce) },
      handle: (request) => listRecords(node, request),
    },
    {
      method: "GET",
      path: "/v1/logs/{log}/reference/{table}/{id}",
      role: "viewer",
      summary: "Versions of a record, in the order in which they were put",
      params: record,
      query: Type.Object(PAGE_QUERY),
      answers: { 200: listOf(Stored) },
      handle: (request) => listVersions(node, request),
    },
    {
      method: "PUT",
      path: "/v1/logs/{log}/reference/{table}/{id}",
      role: "operator",
      summary: "Put a version of a record; it reaches every partition in one order",
      params: record,
      query: Type.Object({
        dryRun: Type.Optional(Type.Union([Type.Literal("true"), Type.Literal("false")], { description: "Check, and write nothing." })),
        wait: Type.Optional(
          Type.String({ description: `How long to wait until every partition has it: a duration up to 30s, default ${WAIT_DEFAULT}.` }),
        ),
      }),
      body: Type.Object({ version: Version, effectiveFrom: Type.String({ description: "RFC 3339." }), data: Data }),
      bodyMaxBytes: BODY_MAX_BYTES,
      answers: { 200: Put, 202: Put },
      command: true,
      long: true,
      handle: (request) => put(node, request),
    },
  ];
}

/** A table as the running jobs of its log declare it: each schema must take what is put. */
interface Found {
  readonly log: string;
  readonly table: string;
  readonly declared: readonly ReferenceTable<unknown>[];
  /** One of the jobs that read it. */
  readonly running: RunningJob;
}

function find(node: Node, { log = "", table = "" }: RouteRequest["params"]): Found {
  // Every log has them.
  const ofLog = node.jobs.find(({ job }) => job.log === log);
  const reserved = RESERVED_TABLES.find(({ name }) => name === table);
  if (reserved !== undefined && ofLog !== undefined) return { log, table, declared: [reserved], running: ofLog };
  const readers = node.jobs.filter(({ job }) => job.log === log && job.tables.has(table));
  const [running] = readers;
  if (running === undefined) {
    const what = isName(log) && isName(table) ? `No job of the log "${log}" reads a table "${table}".` : "A log and a table have names.";
    throw notFound(`${what} A table exists where an actor lists it under \`reference\`.`);
  }
  return { log, table, declared: readers.map(({ job }) => job.tables.get(table)!), running };
}

async function listRecords(node: Node, { params, query }: RouteRequest): Promise<RouteAnswer> {
  const { table, running } = find(node, params);
  const asOf = query.asOf === undefined ? systemClock.now() : parseInstant(query.asOf);
  if (asOf === undefined) throw badRequest("asOf: an RFC 3339 date-time, such as 2026-03-01T00:00:00Z.");
  const prefix = query.prefix === undefined || query.prefix === "" ? "" : writeKey(query.prefix);
  if (prefix === undefined) throw badRequest("prefix: at most 256 bytes as written, well-formed Unicode.");
  const after = readCursor(query.cursor, isToken) ?? "";
  const { job } = running;
  // Every partition holds the same records; the first answers for all.
  const place = { job: job.name, partition: 0 };
  const wanted = { table, prefix, after, limit: readLimit(query.limit), asOf };
  const page = await node.reads.read("reference", place, [wanted]);
  return { status: 200, body: { items: page.items, next: page.next === undefined ? null : writeCursor(page.next) } };
}

async function listVersions(node: Node, { params, query }: RouteRequest): Promise<RouteAnswer> {
  const { log, table } = find(node, params);
  const id = params.id!;
  const from = readCursor(query.cursor, isCount) ?? 1;
  const page = await readRecords(new NatsReferenceLog(node.nc, log), { log, table, id }, from, readLimit(query.limit));
  if (page.items.length === 0 && query.cursor === undefined) throw notFound(`The table "${table}" has no record "${id}".`);
  const items = page.items.map(({ version, effectiveFrom, data, sequence, storedAt }) => ({
    version,
    effectiveFrom: formatInstant(effectiveFrom),
    data,
    sequence,
    storedAt: formatInstant(storedAt),
  }));
  return { status: 200, body: { items, next: page.next === undefined ? null : writeCursor(page.next) } };
}

async function put(node: Node, { params, query, body, signal }: RouteRequest): Promise<RouteAnswer> {
  const { log, table, declared, running } = find(node, params);
  const id = params.id!;
  const draft = body as RecordDraft;
  const waitMs = readWait(query.wait);
  const dryRun = query.dryRun === "true";
  const stream = new NatsReferenceLog(node.nc, log);
  const write = (dry: boolean): Promise<PutResult> => putRecord(stream, declared, { log, table, id }, draft, dry).catch(refuse);
  const reserved = RESERVED_TABLES.find(({ name }) => name === table)?.name;
  if (reserved !== undefined) {
    checkActivation(node, log, { table: reserved, id, data: draft.data }, running.map.partitions);
    // The stream is there when a table is read. It reserves room, so not for what would be refused.
    await write(true);
    if (!dryRun) await node.ensureReference(log);
  }
  const result = await write(dryRun);
  const partitions = Array.from({ length: running.map.partitions }, (_, partition) => new NatsPartitionLog(node.nc, log, partition));
  const copies =
    dryRun || result.sequence === undefined
      ? NO_COPIES
      : await awaitCopies({ log, table, source: result.sequence, partitions, clock: systemClock, waitMs, signal });
  const answer = { table, id, version: draft.version, sequence: result.sequence ?? null, written: result.written, dryRun, ...copies };
  return { status: copies.missing.length > 0 ? 202 : 200, body: answer };
}

function checkActivation(node: Node, log: string, draft: ActivationDraft, partitions: number): void {
  try {
    checkActivated(
      draft,
      node.jobs.map(({ job }) => job).filter((job) => job.log === log),
      partitions,
    );
  } catch (error) {
    refuse(error);
  }
}

const NO_COPIES: Copies = { positions: [], missing: [] };

function refuse(error: unknown): never {
  if (isTidemarkError(error, "REFERENCE_INVALID")) throw new HttpProblem(400, error.code, error.message);
  if (isTidemarkError(error, "REFERENCE_CONFLICT")) throw new HttpProblem(409, error.code, error.message);
  throw error;
}

function readWait(text: string | undefined): number {
  try {
    const waitMs = durationMs(text ?? WAIT_DEFAULT, "wait");
    if (waitMs <= WAIT_MAX_MS) return waitMs;
  } catch {
    // The same answer as for one that is too long.
  }
  throw badRequest("wait: a duration such as 500ms or 5s, at most 30s.");
}

function isToken(value: unknown): value is string {
  return typeof value === "string" && readKey(value) !== undefined;
}
