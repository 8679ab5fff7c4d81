/** Jobs and shards: what runs, and where each shard is. */
import { type Static, Type } from "typebox";
import type { Node } from "../../runtime/node/node.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { notFound } from "./problem.ts";
import { listOf, pageOf, WHOLE_QUERY } from "./query.ts";
import type { Route } from "./route.ts";
import { Instant, Position } from "./shapes.ts";

const Count = Type.Integer({ minimum: 0 });
const Text = Type.String();

const ErrorRecord = Type.Object({ code: Text, detail: Text });

const Pump = Type.Object({
  pump: Text,
  job: Type.String({ description: "The job whose log it feeds." }),
  source: Type.String({ description: "The stream that it reads." }),
  next: Position,
  lag: Type.Integer({ minimum: 0, description: "Entries of the source, and events, known to wait." }),
  error: Type.Optional(ErrorRecord),
});

const Shard = Type.Object({
  job: Text,
  shard: Count,
  owner: Type.String({ description: "Id of the node that owns it." }),
  node: Type.String({ description: "Id of the node where this copy of it runs." }),
  role: Type.Union([Type.Literal("owner"), Type.Literal("standby")], {
    description: "A standby folds the same, publishes nothing, and takes over when the owner is gone.",
  }),
  status: Type.Union(["starting", "running", "stopping", "stopped", "halted"].map((status) => Type.Literal(status))),
  build: Type.Union([Type.Object({ version: Count, codeHash: Text }), Type.Null()], {
    description: "The build that folds it.",
  }),
  contested: Type.Boolean({ description: "Another owner has taken it over since: two nodes write the same bytes." }),
  position: Position,
  logEnd: Count,
  lag: Type.Integer({ minimum: 0, description: "Entries known to wait behind `position`." }),
  watermark: Type.Union([Instant, Type.Null()]),
  outputs: Count,
  outputsStored: Count,
  actors: Count,
  timers: Count,
  pendingCalls: Count,
  stateBytes: Count,
  stateHash: Type.Union([Text, Type.Null()]),
  lastSnapshot: Type.Union([
    Type.Object({ id: Text, position: Position, takenAt: Instant, bytes: Count }, { description: "The last that this node took." }),
    Type.Null(),
  ]),
  counts: Type.Record(Text, Count),
  error: Type.Optional(ErrorRecord),
  waitsFor: Type.Optional(ErrorRecord),
  features: Type.Optional(
    Type.Object(
      { written: Count, failures: Count, lag: Count, error: Type.Optional(ErrorRecord) },
      { description: "How its features are kept; `lag` is the outputs that are not dealt with yet. Absent where the job has none." },
    ),
  ),
  pumps: Type.Optional(Type.Array(Pump, { description: "Pumps that run beside it." })),
  restoring: Type.Optional(
    Type.Object({ snapshot: Text, doneBytes: Count, totalBytes: Count }, { description: "While it takes its state from a snapshot." }),
  ),
  restored: Type.Optional(Type.Object({ snapshot: Text, bytes: Count, tookMs: Count }, { description: "When it began from a snapshot." })),
});

const Job = Type.Object({
  job: Text,
  origin: Type.Optional(Type.String({ description: "Of a generation: the job whose history it took over." })),
  log: Text,
  version: Count,
  partitions: Count,
  from: Type.Array(Type.Object({ pump: Text, source: Text, partitions: Count }), { description: "Pumps that feed its log." }),
  actors: Type.Array(Text),
  outputs: Type.Array(Type.String({ description: "A type that its actors declare." })),
  settings: Type.Record(Text, Type.Union([Type.Number(), Type.String(), Type.Array(Text)])),
});

export function shardRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/jobs",
      role: "viewer",
      summary: "Jobs with log, version, partitions, pumps, actor and output types, and settings",
      query: Type.Object(WHOLE_QUERY),
      answers: { 200: listOf(Job) },
      handle: async ({ query }) => ({ status: 200, body: pageOf(jobsOf(node), query) }),
    },
    {
      method: "GET",
      path: "/v1/shards",
      role: "viewer",
      summary: "Where each shard is: its owner, and the standbys, on the nodes that answer",
      query: Type.Object({ node: Type.Optional(Type.String({ description: "Only what runs there." })), ...WHOLE_QUERY }),
      answers: { 200: listOf(Shard) },
      handle: async ({ query }) => {
        const shards = (await node.shards()).filter((report) => query.node === undefined || report.node === query.node);
        return { status: 200, body: pageOf(shards.map(shown), query) };
      },
    },
    {
      method: "GET",
      path: "/v1/shards/{job}/{shard}",
      role: "viewer",
      summary: "Where one shard is, as its owner says",
      params: Type.Object({ job: Text, shard: Text }),
      answers: { 200: Shard },
      handle: async ({ params: { job, shard } }) => {
        const found = (await node.shards()).find((report) => report.job === job && String(report.shard) === shard);
        if (found === undefined) throw notFound(`There is no shard ${shard} of job "${job}".`);
        return { status: 200, body: shown(found) };
      },
    },
  ];
}

/** Measures are for metrics: no part of what a shard says of itself. */
function shown({
  measures: _measures,
  effects: _effects,
  snapshots: _snapshots,
  rebuilds: _rebuilds,
  build,
  ...report
}: ShardReport): Omit<ShardReport, "measures" | "effects" | "snapshots" | "rebuilds" | "build"> & Pick<Static<typeof Shard>, "build"> {
  return { ...report, build: build === null ? null : { version: build.version, codeHash: build.codeHash } };
}

function jobsOf(node: Node): Static<typeof Job>[] {
  return node.jobs.map(({ job, map, sources }) => ({
    job: job.name,
    ...(job.origin === undefined ? {} : { origin: job.origin }),
    log: job.log,
    version: job.version,
    partitions: map.partitions,
    from: job.from.map(({ name, source }) => ({
      pump: name,
      source: source.kind === "log" ? source.log : `${source.job}-out`,
      partitions: sources.get(name)!.partitions,
    })),
    actors: job.actors.map((actor) => actor.name),
    outputs: [...new Set(job.actors.flatMap(({ outputs }) => outputs.map(({ type }) => type)))].sort(),
    settings: Object.fromEntries(Object.entries(job.settings).map(([name, setting]) => [name, isList(setting) ? [...setting] : setting])),
  }));
}

function isList(setting: string | number | readonly string[]): setting is readonly string[] {
  return Array.isArray(setting);
}
