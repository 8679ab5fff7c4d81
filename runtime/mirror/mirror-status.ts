/** How far the mirrors of this site are behind the first one, asked of both: what a mirror says of itself may be old. It only asks. */
import type { NatsConnection } from "@nats-io/transport-node";
import { isTidemarkError } from "../errors.ts";
import type { StreamInfo } from "../log/jetstream-api.ts";
import { streamListing, wholeListing } from "../log/own-streams.ts";
import { apiOfSite, type MirroredStream, mirroredKind, mirroredStreams } from "./mirrored-streams.ts";

export interface MirrorStatus {
  readonly stream: string;
  /** `missing`: the first site has it, and it has no mirror; `replaced`: another stream has taken its origin's place there, or it lost messages. */
  readonly status: MirroredStream["status"] | "missing" | "replaced";
  /** Last sequence here; 0 where there is no mirror. */
  readonly last: number;
  /** Messages that are still to come; `null` when the first site does not answer, or the stream is gone there. */
  readonly behind: number | null;
  /** When the last message here was stored at the first site; `null` when there is none. */
  readonly lastAt: string | null;
}

export interface SiteStatus {
  /** JetStream domain of the first site; `undefined` when this one has no mirrors. */
  readonly site: string | undefined;
  /** Whether the first site answers. */
  readonly answers: boolean;
  readonly streams: readonly MirrorStatus[];
}

/** An origin says every second that it has nothing. */
const HEARD_WITHIN_NS = 30e9;

/** Throws NATS_UNREACHABLE when this site does not answer, or a stream of either one has no leader. */
export async function mirrorStatus(nc: NatsConnection): Promise<SiteStatus> {
  const mirrored = await mirroredStreams(nc);
  const site = mirrored[0]?.site;
  const origins = site === undefined ? undefined : await originsOf(nc, site);
  const here = new Set(mirrored.map(({ origin }) => origin.name));
  const streams = mirrored.map((mirror): MirrorStatus => {
    const { stream, info } = mirror;
    const origin = origins?.get(mirror.origin.name);
    const status = origin === undefined || isSame(mirror, origin) ? mirror.status : "replaced";
    return { stream, status, last: info.state.last_seq, behind: behindOf(mirror, origin), lastAt: lastAtOf(info) };
  });
  for (const [stream, { state }] of origins ?? []) {
    if (!here.has(stream)) streams.push({ stream, status: "missing", last: 0, behind: state.last_seq, lastAt: null });
  }
  return { site, answers: origins !== undefined, streams: streams.sort((a, b) => (a.stream < b.stream ? -1 : 1)) };
}

/** What is here was asked first, so that one that grows never has less. */
function isSame({ originCreated, info }: MirroredStream, { created, state }: StreamInfo): boolean {
  return created === originCreated && state.last_seq >= info.state.last_seq;
}

/**
 * By the numbers at both ends: what a mirror says itself is that it is not behind, also when it has stopped. The last messages of a bucket
 * may be gone, and then a mirror never gets to their numbers, so there its word is taken, when it has just heard of its origin.
 */
function behindOf({ kind, info }: MirroredStream, origin: StreamInfo | undefined): number | null {
  if (origin === undefined) return null;
  const { mirror } = info as StreamInfo & { readonly mirror?: { readonly lag: number; readonly active: number } };
  if (kind === "bucket" && mirror !== undefined && mirror.active >= 0 && mirror.active < HEARD_WITHIN_NS) return mirror.lag;
  return Math.max(0, origin.state.last_seq - info.state.last_seq);
}

/** The server gives year 1 to a stream that holds nothing. */
function lastAtOf({ state }: StreamInfo): string | null {
  const { last_seq, last_ts } = state as StreamInfo["state"] & { readonly last_ts?: string };
  return last_seq === 0 || last_ts === undefined ? null : last_ts;
}

/** `undefined`: it does not answer. One that answers, and lacks a leader, is not taken for one that is gone. */
async function originsOf(nc: NatsConnection, site: string): Promise<ReadonlyMap<string, StreamInfo> | undefined> {
  const listing = await streamListing(nc, { api: apiOfSite(site), giveUpAfterMs: 0 }).catch((error: unknown) => {
    if (isTidemarkError(error, "NATS_UNREACHABLE")) return undefined;
    throw error;
  });
  if (listing === undefined) return undefined;
  const streams = wholeListing(listing).filter(({ config }) => mirroredKind(config) !== undefined);
  return new Map(streams.map((info) => [info.config.name, info]));
}
