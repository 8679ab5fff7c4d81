/**
 * Lets this site follow the streams of another one: makes the mirrors that are missing, writes down how their origins are laid out now,
 * and deletes here what was deleted there, which a mirror does not see by itself: trimmed beginnings, erased messages, cleared objects.
 *
 * It changes nothing at the other site, and a stream that is gone there stays here.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { epochSubject } from "../../actors/fold/subject.ts";
import { TidemarkError } from "../errors.ts";
import { type ApiOptions, askApi, askStream, refusalOf, type StreamInfo, streamInfo } from "../log/jetstream-api.ts";
import { listAllStreams } from "../log/own-streams.ts";
import type { Replication } from "../log/replication.ts";
import { outputStreamName } from "../outputs/output-layout.ts";
import { apiOfSite, mirrorConfig, mirroredKind, mirroredStream, updateStream } from "./mirrored-streams.ts";
import { CHANGE, promotingAlone, STILL_MS, type StillAlone } from "./promotion-lock.ts";

export interface SyncedStream {
  readonly stream: string;
  readonly did: "created" | "updated" | "nothing";
  /** Messages, or objects and their chunks, that went because they are gone at the other site. */
  readonly removed: number;
}

interface DeletedState {
  readonly state: StreamInfo["state"] & { readonly num_deleted?: number; readonly deleted?: readonly number[] };
}

/** Long lists take their time. */
const PATIENCE: ApiOptions = { timeoutMs: 6_000 };
const DELETES_AT_A_TIME = 32;

/** `stillMs`: see `PromotionOptions`. Throws MIRROR_CONFLICT before anything was changed that it would be about, NATS_UNREACHABLE, NATS_REPLICAS, NATS_STORAGE. */
export async function syncMirrors(nc: NatsConnection, site: string, replication: Replication, stillMs = STILL_MS): Promise<SyncedStream[]> {
  return await promotingAlone(nc, stillMs, (alone) => sync(nc, site, replication, alone));
}

async function sync(nc: NatsConnection, site: string, replication: Replication, alone: StillAlone): Promise<SyncedStream[]> {
  const api = apiOfSite(site);
  // What is here is asked first: an origin only grows meanwhile, so that one with less is another one.
  const own = new Map((await listAllStreams(nc)).map((info) => [info.config.name, info]));
  const origins = (await listAllStreams(nc, { api })).filter(({ config }) => mirroredKind(config) !== undefined);
  for (const origin of origins) refuseOther(origin, own.get(origin.config.name), site);
  const logs = await jobsOf(
    nc,
    origins.flatMap((info) => logOf(info) ?? []),
    { api },
  );
  const synced: SyncedStream[] = [];
  for (const origin of origins) {
    const stream = origin.config.name;
    const found = own.get(stream);
    await alone();
    const did =
      found === undefined
        ? await create(nc, mirrorConfig(origin, site, replication, logs.get(stream)), stream)
        : await update(nc, origin, found, site, logs.get(stream));
    synced.push({ stream, did, removed: await removeGone(nc, api, stream, alone) });
  }
  return synced.sort((a, b) => (a.stream < b.stream ? -1 : 1));
}

/** A site that lost its disk, and came back with new streams, must not take what is here along. */
function refuseOther({ created, state }: StreamInfo, found: StreamInfo | undefined, site: string): void {
  if (found === undefined) return;
  const mirrored = mirroredStream(found);
  const { name } = found.config;
  if (mirrored === undefined) throw new TidemarkError("MIRROR_CONFLICT", `The stream ${name} of this site is no mirror.`);
  if (mirrored.site !== site) throw new TidemarkError("MIRROR_CONFLICT", `The stream ${name} is a mirror of the site ${mirrored.site}.`);
  if (mirrored.originCreated !== created)
    throw new TidemarkError(
      "MIRROR_CONFLICT",
      `The stream ${name} of the site ${site} is not the one that is mirrored: it was created at ${created}.`,
    );
  if (state.last_seq < found.state.last_seq)
    throw new TidemarkError(
      "MIRROR_CONFLICT",
      `The stream ${name} of the site ${site} ends at ${state.last_seq}, and here at ${found.state.last_seq}: it has lost messages.`,
    );
  if (mirrored.status !== "mirroring") throw new TidemarkError("MIRROR_CONFLICT", `The promotion of ${name} has begun.`);
}

function logOf({ config }: StreamInfo): LogStream | undefined {
  const own = mirroredKind(config);
  return own?.kind === "log" ? { stream: config.name, of: own.of } : undefined;
}

async function create(nc: NatsConnection, config: object, name: string): Promise<"created"> {
  const { error } = await askApi(nc, `STREAM.CREATE.${name}`, config);
  if (error !== undefined) throw refusalOf(error, name);
  return "created";
}

/** Who raises a bound at the first site wants it at the second too, when that is promoted. */
async function update(
  nc: NatsConnection,
  origin: StreamInfo,
  found: StreamInfo,
  site: string,
  log?: string,
): Promise<"updated" | "nothing"> {
  const { num_replicas: replicas } = found.config;
  const wanted = mirrorConfig(origin, site, { replicas }, log ?? mirroredStream(found)?.log) as {
    readonly metadata: Readonly<Record<string, string>>;
  };
  const { metadata } = found.config as { readonly metadata?: Readonly<Record<string, string>> };
  if (Object.entries(wanted.metadata).every(([name, value]) => metadata?.[name] === value)) return "nothing";
  await updateStream(nc, { ...found.config, metadata: { ...metadata, ...wanted.metadata } }, found.config.name);
  return "updated";
}

async function removeGone(nc: NatsConnection, api: string, stream: string, alone: StillAlone): Promise<number> {
  const mayGo = async (): Promise<void> => {
    await refuseUnlessMirror(nc, stream);
    await alone();
  };
  if (stream.startsWith("OBJ_")) return await removeObjects(nc, api, stream, mayGo);
  // A key of a bucket goes with a message that says so.
  if (stream.startsWith("KV_")) return 0;
  const origin = await streamInfo(nc, stream, { api });
  const { state } = await streamInfo(nc, stream);
  const from = Math.min(origin.state.first_seq, state.last_seq);
  let removed = 0;
  if (from > state.first_seq) {
    await mayGo();
    const { purged } = await askStream<{ readonly purged: number }>(nc, stream, `STREAM.PURGE.${stream}`, { seq: from }, CHANGE);
    removed += purged;
  }
  return removed + (await removeErased(nc, api, stream, mayGo));
}

/** One by one, overwritten, as who erases means it. */
async function removeErased(nc: NatsConnection, api: string, stream: string, mayGo: StillAlone): Promise<number> {
  const origin = await deletedOf(nc, stream, { api });
  const own = await deletedOf(nc, stream, {});
  const gone = new Set(own.state.deleted);
  const { first_seq, last_seq } = own.state;
  const toGo = (origin.state.deleted ?? []).filter((seq) => seq >= first_seq && seq <= last_seq && !gone.has(seq));
  await deleteMessages(nc, stream, toGo, false, mayGo);
  return toGo.length;
}

async function deletedOf(nc: NatsConnection, stream: string, options: ApiOptions): Promise<DeletedState> {
  const counted = await askStream<DeletedState>(nc, stream, `STREAM.INFO.${stream}`, undefined, options);
  if ((counted.state.num_deleted ?? 0) === 0) return counted;
  return await askStream<DeletedState>(nc, stream, `STREAM.INFO.${stream}`, { deleted_details: true }, { ...PATIENCE, ...options });
}

/** Asked right before anything goes: a stream that nodes write to has no origin any more whose deletes would be meant for it. */
async function refuseUnlessMirror(nc: NatsConnection, stream: string): Promise<void> {
  if (mirroredStream(await streamInfo(nc, stream))?.status !== "mirroring")
    throw new TidemarkError("MIRROR_CONFLICT", `The promotion of ${stream} has begun.`);
}

/** `mayGo` is awaited before each few of them. */
export async function deleteMessages(
  nc: NatsConnection,
  stream: string,
  sequences: readonly number[],
  quickly: boolean,
  mayGo: StillAlone,
): Promise<void> {
  for (let at = 0; at < sequences.length; at += DELETES_AT_A_TIME) {
    await mayGo();
    const some = sequences.slice(at, at + DELETES_AT_A_TIME);
    await Promise.all(some.map((seq) => askStream(nc, stream, `STREAM.MSG.DELETE.${stream}`, { seq, no_erase: quickly }, CHANGE)));
  }
}

/**
 * What is here is listed before what is there, so that whatever came meanwhile is seen there. That list comes by pages, and one that goes
 * meanwhile moves others out of it: so each is asked for by its name before it goes. Heads go before their chunks.
 */
async function removeObjects(nc: NatsConnection, api: string, stream: string, mayGo: StillAlone): Promise<number> {
  const own = await subjectsOf(nc, stream, {});
  const there = new Set(await subjectsOf(nc, stream, { api }));
  const gone = own.filter((subject) => !there.has(subject)).sort((a, b) => (a < b ? 1 : -1));
  let removed = 0;
  for (const filter of gone) {
    if ((await subjectsOf(nc, stream, { api }, filter)).length > 0) continue;
    await mayGo();
    await askStream(nc, stream, `STREAM.PURGE.${stream}`, { filter }, CHANGE);
    removed++;
  }
  return removed;
}

export interface LogStream {
  readonly stream: string;
  /** Name of the log. */
  readonly of: string;
}

/** The log stream of each output stream, by the epochs that its job has there. */
export async function jobsOf(nc: NatsConnection, logs: readonly LogStream[], options: ApiOptions): Promise<ReadonlyMap<string, string>> {
  const jobs = new Map<string, string>();
  for (const { stream, of } of logs) {
    const partition = Number(stream.slice(stream.lastIndexOf("-") + 1));
    for (const subject of await subjectsOf(nc, stream, options, epochSubject(of, partition, "*")))
      jobs.set(outputStreamName(subject.split(".").at(-2)!, partition), stream);
  }
  return jobs;
}

interface SubjectsPage {
  readonly total?: number;
  readonly state: { readonly subjects?: Readonly<Record<string, number>> };
}

/** Subjects that a stream has messages on. `filter`: of which. */
export async function subjectsOf(nc: NatsConnection, stream: string, options: ApiOptions, filter = ">"): Promise<string[]> {
  const subjects: string[] = [];
  for (;;) {
    const request = { subjects_filter: filter, offset: subjects.length };
    const page = await askStream<SubjectsPage>(nc, stream, `STREAM.INFO.${stream}`, request, { ...PATIENCE, ...options });
    const found = Object.keys(page.state.subjects ?? {});
    subjects.push(...found);
    if (found.length === 0 || subjects.length >= (page.total ?? 0)) return subjects;
  }
}
