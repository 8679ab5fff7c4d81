/**
 * Makes the mirrors of this site streams of its own, so that nodes can go on here. What the first site never sent is lost, and nothing
 * else but what was made of that: see `stream-ends.ts`.
 *
 * First nobody is followed any more, so that nothing changes while it is counted, also when the first site comes back. Then the streams
 * are cut, behind what was written into each of them before, snapshots go that are ahead of their log, and at last each stream gets its subjects: logs come last, so that no event is
 * taken before there is everything that it needs. A promotion that was cut off is ended by the next one.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { streamOf } from "../log/slot-map.ts";
import { resultBlob } from "../results/result-blobs.ts";
import { BlobDamage } from "../snapshots/blobs/blob-failure.ts";
import { openCatalogue, resultPlaceIfThere, type SnapshotSettings } from "../snapshots/open-catalogue.ts";
import { refuseWhileBehind, refuseWhileNodesRun } from "./first-site.ts";
import { deleteLostSkips } from "./lost-skips.ts";
import { deleteLostSnapshots } from "./lost-snapshots.ts";
import { detachedConfig, type MirroredStream, mirroredStreams, partitionOf, promotedConfig, updateStream } from "./mirrored-streams.ts";
import { promotingAlone, STILL_MS, type StillAlone } from "./promotion-lock.ts";
import { cutStream, finishCuts, isBeside, type RemovedMessage } from "./stream-cut.ts";
import { type EndsWorld, planEnds, type StreamEnds } from "./stream-ends.ts";

export interface PromotionOptions {
  /** Only says what it would do. Mirrors go on meanwhile. */
  readonly dryRun: boolean;
  /** Also when the first site answers, and has more or runs nodes. */
  readonly now: boolean;
  /** See `EndsWorld`. */
  readonly pumps: ReadonlyMap<string, string>;
  readonly snapshots: SnapshotSettings;
  readonly removed: (message: RemovedMessage) => void;
  /** How long another promotion may show no progress before it counts as dead. Default 15 s. */
  readonly stillMs?: number;
}

export interface PromotedStream {
  readonly stream: string;
  readonly kind: MirroredStream["kind"];
  /** Last sequence that stays. */
  readonly last: number;
  /** Numbers behind it that are given anew. */
  readonly removed: number;
}

export interface Promotion {
  readonly site: string;
  readonly streams: readonly PromotedStream[];
  /** Deleted because their log does not reach so far. Empty of a dry run. */
  readonly snapshots: readonly string[];
}

/** Each is one after the other at the server; each takes its space twice. */
const CUTS_AT_A_TIME = 8;
const ORDER: readonly MirroredStream["kind"][] = ["bucket", "skips", "reference", "outputs", "log"];

/** Throws MIRROR_MISSING, MIRROR_BEHIND, MIRROR_CONFLICT, INPUT_INVALID, NATS_STORAGE, NATS_UNREACHABLE, SNAPSHOT_STORE. */
export async function promoteMirrors(nc: NatsConnection, options: PromotionOptions): Promise<Promotion> {
  if (options.dryRun) return await promote(nc, options, async () => {});
  return await promotingAlone(nc, options.stillMs ?? STILL_MS, (alone) => promote(nc, options, alone));
}

async function promote(nc: NatsConnection, options: PromotionOptions, alone: StillAlone): Promise<Promotion> {
  if (!options.dryRun) await finishCuts(nc, alone);
  const before = await mirrorsOf(nc);
  const [first] = before;
  if (first === undefined) throw new TidemarkError("MIRROR_MISSING", "No stream of this site is a mirror.");
  if (!options.now) {
    if (!options.dryRun) await refuseWhileNodesRun(nc, first.site);
    await refuseWhileBehind(nc);
  }
  await checkPumps(nc, before, options);
  if (!options.dryRun) for (const mirror of before) if (mirror.status === "mirroring") await detach(nc, mirror, alone);
  const streams = options.dryRun ? before : await mirrorsOf(nc);
  const { ends, logs } = await planEnds({ nc, streams, pumps: options.pumps, resultIsHere: resultCheck(nc, options.snapshots) });
  const promoted = streams.map((mirror): PromotedStream => {
    const { last_seq } = mirror.info.state;
    const last = ends.get(mirror.origin.name) ?? last_seq;
    return { stream: mirror.stream, kind: mirror.kind, last, removed: last_seq - last };
  });
  if (options.dryRun) return { site: first.site, streams: promoted, snapshots: [] };
  const cuts = (await writeDown(nc, streams, ends, alone)).filter(({ cut, info }) => cut !== undefined && cut < info.state.last_seq);
  for (let at = 0; at < cuts.length; at += CUTS_AT_A_TIME) {
    const some = cuts.slice(at, at + CUTS_AT_A_TIME).map(async (mirror) => {
      const { name } = mirror.origin;
      ends.set(name, await cutStream(nc, mirror, ends.get(name)!, options.removed, alone));
    });
    await Promise.all(some);
  }
  for (const mirror of streams) if (mirror.kind === "skips") await deleteLostSkips(nc, mirror, { ends, logs }, options.removed, alone);
  const snapshots = await serveAgain(nc, streams, ends, options.snapshots, alone);
  return { site: first.site, streams: promoted, snapshots };
}

async function mirrorsOf(nc: NatsConnection): Promise<MirroredStream[]> {
  return (await mirroredStreams(nc)).filter(({ stream }) => !isBeside(stream));
}

/** Asked before anything is changed. */
async function checkPumps(nc: NatsConnection, streams: readonly MirroredStream[], { pumps }: PromotionOptions): Promise<void> {
  const { unknownPumps } = await planEnds({ nc, streams, pumps, resultIsHere: undefined });
  if (unknownPumps.length === 0) return;
  const named = unknownPumps.map((pump) => `${pump}=…`).join(",");
  throw new TidemarkError("INPUT_INVALID", `What the pumps ${unknownPumps.join(", ")} read is not known. Name it with --pumps ${named}`);
}

/** All of it before the first message goes, also of a stream that stays whole: the next promotion decides nothing anew. */
async function writeDown(
  nc: NatsConnection,
  streams: readonly MirroredStream[],
  ends: StreamEnds,
  alone: StillAlone,
): Promise<readonly MirroredStream[]> {
  const decided: MirroredStream[] = [];
  for (const mirror of streams) {
    const isNumbered = mirror.kind === "log" || mirror.kind === "reference" || mirror.kind === "outputs";
    const cut = isNumbered ? ends.get(mirror.origin.name) : undefined;
    decided.push(cut === undefined ? mirror : { ...mirror, cut });
    if (cut === undefined || cut === mirror.cut) continue;
    await alone();
    await updateStream(nc, detachedConfig({ ...mirror, cut }), mirror.stream);
  }
  return decided;
}

async function detach(nc: NatsConnection, mirror: MirroredStream, alone: StillAlone): Promise<void> {
  await alone();
  await updateStream(nc, detachedConfig(mirror), mirror.stream);
}

/** Results that lie elsewhere are copied by whoever copies that place. */
function resultCheck(nc: NatsConnection, settings: SnapshotSettings): EndsWorld["resultIsHere"] {
  if (settings.snapshots.kind !== "nats") return undefined;
  const place = resultPlaceIfThere(nc, settings);
  return async (stream, stored) => {
    const found = await place();
    if (found === undefined) return false;
    try {
      return (await found.blobs.get(resultBlob(stream, stored))) !== undefined;
    } catch (error) {
      // A damaged one was so at the first site too, and its shard halts on it: no reason to cut a history.
      if (isTidemarkError(error) && error.cause instanceof BlobDamage) return true;
      throw error;
    }
  };
}

async function serveAgain(
  nc: NatsConnection,
  streams: readonly MirroredStream[],
  ends: StreamEnds,
  settings: SnapshotSettings,
  alone: StillAlone,
): Promise<readonly string[]> {
  let snapshots: readonly string[] = [];
  for (const kind of ORDER) {
    for (const mirror of streams.filter((one) => one.kind === kind)) {
      await alone();
      await updateStream(nc, promotedConfig(mirror), mirror.stream);
    }
    if (kind !== "bucket") continue;
    // As long as a stream waits for its subjects the next promotion comes here again.
    const shards = streams.filter((one) => one.kind === "outputs").map((one) => ({ job: one.of, shard: partitionOf(one) }));
    const { catalogue } = await openCatalogue(nc, settings);
    try {
      await alone();
      snapshots = await deleteLostSnapshots(catalogue, shards, ends, streamOf);
    } finally {
      await catalogue.blobs.close();
    }
  }
  return snapshots;
}
