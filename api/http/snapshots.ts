/** Snapshots: take, list, look at, verify. What takes long is an operation. */
import { type Static, Type } from "typebox";
import { formatPosition } from "../../actors/model/position.ts";
import { formatInstant } from "../../actors/model/time.ts";
import type { Node } from "../../runtime/node/node.ts";
import { type JobManifest, type ShardManifest, storedBytes } from "../../runtime/snapshots/manifest.ts";
import { OperationBody, started } from "./operations.ts";
import { notFound } from "./problem.ts";
import { listOf } from "./query.ts";
import type { Route, RouteAnswer } from "./route.ts";
import { Instant, Position } from "./shapes.ts";

const Text = Type.String();
const Count = Type.Integer({ minimum: 0 });

const Snapshot = Type.Object({
  id: Text,
  job: Text,
  takenAt: Instant,
  reason: Type.String({ description: "schedule, request, epoch or generation." }),
  shards: Type.Array(Type.Object({ shard: Count, snapshot: Type.String({ description: "Of the shard." }) })),
});

const SnapshotDetail = Type.Object({
  id: Text,
  job: Text,
  log: Text,
  takenAt: Instant,
  reason: Text,
  bytes: Type.Integer({ minimum: 0, description: "What it takes, with what it stands on." }),
  shards: Type.Array(
    Type.Object({
      shard: Count,
      snapshot: Text,
      takenAt: Instant,
      position: Position,
      watermark: Type.Union([Instant, Type.Null()]),
      outputs: Count,
      chain: Text,
      stateHash: Text,
      version: Type.Integer({ description: "Of the job, at the position." }),
      codeHash: Text,
      mapVersion: Count,
      deltas: Type.Integer({ minimum: 0, description: "On its base." }),
      bytes: Count,
      writtenBytes: Type.Integer({ minimum: 0, description: "By this one alone." }),
    }),
  ),
});

const Damaged = Type.Object({ name: Text, message: Text }, { description: "A manifest that cannot be read." });

export function snapshotRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v1/snapshots",
      role: "operator",
      summary: "Takes a snapshot of one job, or of all: each shard at an exact position, none of them stopped",
      body: Type.Object({ job: Type.Optional(Text) }, { additionalProperties: false }),
      bodyOptional: true,
      answers: { 202: OperationBody },
      command: true,
      handle: async ({ body, who }) => {
        const { job } = (body ?? {}) as { readonly job?: string };
        return take(node, job === undefined ? node.jobs.map((running) => running.job.name) : [known(node, job)], who);
      },
    },
    {
      method: "GET",
      path: "/v1/snapshots",
      role: "viewer",
      summary: "Snapshots of one job, or of all, the newest first",
      query: Type.Object({ job: Type.Optional(Text) }),
      answers: { 200: Type.Intersect([listOf(Snapshot), Type.Object({ damaged: Type.Array(Damaged) })]) },
      handle: async ({ query }) => {
        const jobs = query.job === undefined ? node.jobs.map((running) => running.job.name) : [known(node, query.job)];
        const found = await Promise.all(jobs.map((job) => node.snapshots.list(job)));
        const items = found.flatMap(({ snapshots }) => snapshots).sort((a, b) => b.takenAt - a.takenAt);
        return { status: 200, body: { items: items.map(snapshotBody), next: null, damaged: found.flatMap(({ damaged }) => damaged) } };
      },
    },
    {
      method: "GET",
      path: "/v1/snapshots/{id}",
      role: "viewer",
      summary: "One snapshot: what each shard was at, and what it takes",
      params: Type.Object({ id: Text }),
      answers: { 200: SnapshotDetail },
      handle: async ({ params }) => {
        const { snapshot, shards } = await node.snapshots.get(params.id!);
        return { status: 200, body: detailBody(snapshot, shards) };
      },
    },
    {
      method: "POST",
      path: "/v1/snapshots/{id}/verify",
      role: "operator",
      summary: "Reads a snapshot to its last row and checks it against its checksums and state hashes",
      params: Type.Object({ id: Text }),
      answers: { 202: OperationBody },
      command: true,
      handle: async ({ params, who }) => {
        const { snapshot } = await node.snapshots.get(params.id!);
        const operation = node.operations.start({ kind: "verify-snapshot", unit: "bytes", who }, async ({ report }) => {
          const { bytes } = await node.snapshots.verify(snapshot.id, report);
          return { id: snapshot.id, bytes };
        });
        return started(operation);
      },
    },
  ];
}

function take(node: Node, jobs: readonly string[], who: string): RouteAnswer {
  const operation = node.operations.start({ kind: "snapshot", unit: "rows", who }, async ({ report, signal }) => {
    const taken: JobManifest[] = [];
    let before = 0;
    for (const name of jobs) {
      let rows = 0;
      const progress = (count: number): void => {
        rows = count;
        report(before + count);
      };
      const manifest = await node.snapshots.take(name, { reason: "request", progress, signal });
      before += rows;
      if (manifest !== undefined) taken.push(manifest);
    }
    return { snapshots: taken.map(snapshotBody) };
  });
  return started(operation);
}

function known(node: Node, job: string): string {
  if (node.jobs.some((running) => running.job.name === job)) return job;
  throw notFound(`There is no job "${job}" on this node.`);
}

function snapshotBody({ id, job, takenAt, reason, shards }: JobManifest): Static<typeof Snapshot> {
  return { id, job, takenAt: formatInstant(takenAt), reason, shards: [...shards] };
}

function detailBody(snapshot: JobManifest, shards: readonly ShardManifest[]): Static<typeof SnapshotDetail> {
  const { id, job, log, takenAt, reason } = snapshot;
  return {
    id,
    job,
    log,
    takenAt: formatInstant(takenAt),
    reason,
    bytes: shards.reduce((sum, shard) => sum + storedBytes(shard), 0),
    shards: shards.map(shardBody),
  };
}

function shardBody(manifest: ShardManifest): Static<typeof SnapshotDetail>["shards"][number] {
  const { shard, id, takenAt, last, watermark, outputs, chain, stateHash, epoch, mapVersion, parts } = manifest;
  return {
    shard,
    snapshot: id,
    takenAt: formatInstant(takenAt),
    position: formatPosition(shard, last.sequence, last.index),
    watermark: watermark === null ? null : formatInstant(watermark),
    outputs,
    chain,
    stateHash,
    version: epoch.version,
    codeHash: epoch.codeHash,
    mapVersion,
    deltas: parts.length - 1,
    bytes: storedBytes(manifest),
    writtenBytes: storedBytes({ parts: parts.filter(({ snapshot }) => snapshot === id) }),
  };
}
