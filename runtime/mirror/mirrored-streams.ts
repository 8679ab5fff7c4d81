/**
 * Streams of a second site that follow those of the first: which ones, how they are laid out while they follow, and what becomes of them.
 *
 *   mirroring ── promotion begins ──▶ detached ── cut, where something is missing ──▶ promoted
 *
 * A mirror keeps the numbers, times and headers of its origin, and takes no messages of its own. What its origin is laid out like is
 * written into it, because at a promotion nobody can be asked any more. It reserves no space and has no bound of bytes: nats-server
 * 2.15.1 stops a mirror for good that was once full, and says that it is not behind.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { askStream, type StreamConfig, type StreamInfo } from "../log/jetstream-api.ts";
import { listAllStreams, type OwnStream, ownStream } from "../log/own-streams.ts";
import { type Replication, replicationConfig } from "../log/replication.ts";

export type WholeConfig = StreamConfig & {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly mirror?: { readonly name: string };
  readonly placement?: object;
};

export interface MirroredStream extends OwnStream {
  readonly stream: string;
  /** JetStream domain of the first site. */
  readonly site: string;
  /** As the first site has it. */
  readonly origin: WholeConfig;
  /** When that was created; another one may take its place there. */
  readonly originCreated: string;
  readonly status: "mirroring" | "detached";
  /** Last sequence that is to stay, where that was decided: once a message is deleted it could not be told again. */
  readonly cut?: number;
  /** Of an output stream: the log stream that its entries are in, as the first site said it. */
  readonly log?: string;
  readonly info: StreamInfo;
}

interface StreamRecord extends Pick<MirroredStream, "site" | "origin" | "originCreated" | "cut" | "log"> {
  readonly format: number;
}

/** Key of a stream's metadata, and what stands there as JSON. */
const RECORD = "tidemark-mirror";
const FORMAT = 1;
/** What a mirror has of its origin; the rest is refused of a mirror, or would let it lose what it has. */
const KEPT = [
  "retention",
  "storage",
  "discard",
  "max_msgs_per_subject",
  "allow_direct",
  "allow_rollup_hdrs",
  "allow_msg_ttl",
  "compression",
];
/** Who is there and who has which shard is said anew at each site. */
const OF_A_SITE: ReadonlySet<string> = new Set(["nodes", "leases"]);
/** A stream without a mirror has to have a subject: nobody publishes on this one. */
const NO_SUBJECT = "tidemark-detached";

/** Of another site's JetStream, for `ApiOptions`. */
export function apiOfSite(site: string): string {
  return `$JS.${site}.API`;
}

/** `undefined`: one that no second site needs. */
export function mirroredKind({ subjects, mirror }: WholeConfig): OwnStream | undefined {
  const own = mirror === undefined ? ownStream(subjects) : undefined;
  return own?.kind === "bucket" && OF_A_SITE.has(own.of) ? undefined : own;
}

/** Of a mirror that is to be made. */
export function mirrorConfig(
  { config: origin, created: originCreated }: StreamInfo,
  site: string,
  replication: Replication,
  log: string | undefined,
): object {
  const follower = followerConfig({ origin, originCreated, site, ...(log === undefined ? {} : { log }) });
  return { ...follower, ...replicationConfig(replication), mirror: { name: origin.name, external: { api: apiOfSite(site), deliver: "" } } };
}

/** Of a stream that follows another one of its own site. */
export function localMirrorConfig({ info, ...mirrored }: MirroredStream, name: string, from: string): object {
  return { ...followerConfig(mirrored), ...placeOf(info.config), name, mirror: { name: from } };
}

/** As it is, and following nobody. */
export function detachedConfig({ info, ...mirrored }: MirroredStream, name = mirrored.origin.name): object {
  return { ...followerConfig(mirrored), ...placeOf(info.config), name, subjects: [`${NO_SUBJECT}.${name}`] };
}

/** As its origin was, on this site's servers. */
export function promotedConfig({ origin, info }: MirroredStream): object {
  const metadata = Object.entries(origin.metadata ?? {}).filter(([name]) => !name.startsWith("_nats."));
  return { ...origin, placement: undefined, ...placeOf(info.config), metadata: Object.fromEntries(metadata) };
}

/** The streams of this site that follow others or did until their promotion began, by name. Throws NATS_UNREACHABLE. */
export async function mirroredStreams(nc: NatsConnection): Promise<MirroredStream[]> {
  const found = (await listAllStreams(nc)).flatMap((info) => mirroredStream(info) ?? []);
  return found.sort((a, b) => (a.stream < b.stream ? -1 : 1));
}

/** `undefined`: it is a stream of its own. */
export function mirroredStream(info: StreamInfo): MirroredStream | undefined {
  const config: WholeConfig = info.config;
  const record = config.metadata?.[RECORD];
  if (record === undefined) return undefined;
  const { format, site, origin, originCreated, cut, log } = JSON.parse(record) as StreamRecord;
  const own = mirroredKind(origin);
  if (format !== FORMAT || own === undefined) return undefined;
  const status = config.mirror === undefined ? "detached" : "mirroring";
  return {
    stream: config.name,
    site,
    origin,
    originCreated,
    info,
    status,
    ...(cut === undefined ? {} : { cut }),
    ...(log === undefined ? {} : { log }),
    ...own,
  };
}

/** The number of a partition or shard, which ends the stream's name. */
export function partitionOf({ origin }: MirroredStream): number {
  return Number(origin.name.slice(origin.name.lastIndexOf("-") + 1));
}

export async function updateStream(nc: NatsConnection, config: object, stream: string): Promise<void> {
  await askStream(nc, stream, `STREAM.UPDATE.${stream}`, config);
}

function followerConfig({ origin, originCreated, site, cut, log }: Omit<StreamRecord, "format">): object {
  const kept = Object.entries(origin).filter(([name]) => KEPT.includes(name));
  const { num_replicas: _replicas, placement: _placement, ...own } = origin;
  const record = { format: FORMAT, site, origin: own, originCreated, cut, log };
  return { name: origin.name, ...Object.fromEntries(kept), max_bytes: -1, metadata: { [RECORD]: JSON.stringify(record) } };
}

function placeOf({ num_replicas, placement }: WholeConfig): object {
  return { num_replicas, ...(placement === undefined ? {} : { placement }) };
}
