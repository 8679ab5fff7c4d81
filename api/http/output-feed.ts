/**
 * The live feed of outputs to one follower, as server-sent events: `id:` a cursor with the next number of each shard,
 * `event:` the type, `data:` the CloudEvent on one line.
 *
 * It is pulled: a follower that does not read is not read for. At the end it waits on the shards' shared tails; behind
 * it reads pages of its own, one at a time. No output is passed over on the word of a follower of the stream that may lag.
 */
import { setTimeout as delay } from "node:timers/promises";
import { slotOf } from "../../actors/model/key.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { storedMessage, streamInfo } from "../../runtime/log/jetstream-api.ts";
import { partitionOf } from "../../runtime/log/slot-map.ts";
import type { Node } from "../../runtime/node/node.ts";
import { CHAIN_HEADER } from "../../runtime/outputs/output-headers.ts";
import { outputStreamName, outputSubjectRoot } from "../../runtime/outputs/output-layout.ts";
import type { Output } from "../../runtime/outputs/output-stream.ts";
import type { OutputTail } from "../../runtime/outputs/output-tail.ts";
import { writeCursor } from "./cursor.ts";
import { isWanted } from "./outputs.ts";
import { badRequest } from "./problem.ts";

/** What of a node the feed reads. */
export type OutputSource = Pick<Node, "nc" | "outputs">;

export interface OutputFilter {
  /** Without it those of the app, and no generation. */
  readonly job?: string;
  readonly type?: string;
  /** Written. */
  readonly key?: string;
}

export interface FeedOptions {
  readonly filter: OutputFilter;
  readonly signal: AbortSignal;
  /** Of a comment when nothing comes. Default 15 s. */
  readonly heartbeatMs?: number;
}

/** One shard, and how far this follower is. */
export interface FeedPlace {
  readonly job: string;
  readonly partition: number;
  readonly tail: OutputTail;
  next: number;
}

const HEARTBEAT_MS = 15_000;
const RECONNECT_MS = 1_000;
/** Of a shard, before the next shard has its turn. */
const OUTPUTS_AT_ONCE = 64;
const BYTES_AT_ONCE = 256 * 1024;

/** Shards whose outputs may match. */
export function shardsOfFilter(node: Node, filter: OutputFilter): { readonly job: string; readonly partition: number }[] {
  return node.jobs
    .filter(({ job }) => isWanted(job, filter.job))
    .flatMap(({ job, map }) =>
      Array.from({ length: map.partitions }, (_, partition) => ({ job: job.name, partition })).filter(
        ({ partition }) => filter.key === undefined || partitionOf(map, slotOf(filter.key)) === partition,
      ),
    );
}

/** Behind the last output, asked of the leader; or where the cursor says. Throws 400 for a cursor that is ahead of its stream. */
export async function firstPlace(node: OutputSource, job: string, partition: number, wanted: number | "end"): Promise<number> {
  const { state } = await streamInfo(node.nc, outputStreamName(job, partition));
  const end = state.last_seq + 1;
  if (wanted === "end") return end;
  if (wanted <= end) return wanted;
  throw badRequest(`cursor: ${job}/${partition} has ${end - 1} outputs, fewer than it says; they began anew. Follow without a cursor.`);
}

/** Texts of the feed, without end but for `signal`. While NATS is away it stays open and says nothing. */
export async function* outputFeed(node: OutputSource, places: readonly FeedPlace[], options: FeedOptions): AsyncGenerator<string> {
  const { filter, signal, heartbeatMs = HEARTBEAT_MS } = options;
  const cursor = (): string => writeCursor(Object.fromEntries(places.map(({ job, partition, next }) => [`${job}/${partition}`, next])));
  // A follower that loses the connection before the first output has a place to come back to.
  let told = cursor();
  yield `retry: ${RECONNECT_MS}\nid: ${told}\n\n`;
  while (!signal.aborted) {
    let read = 0;
    for (const place of places) {
      let text = "";
      for (const output of await takeWhenThere(node, place, options)) {
        read++;
        place.next = output.k + 1;
        if (!matches(output, place, filter)) continue;
        told = cursor();
        text += `id: ${told}\nevent: ${typeOf(output, place)}\ndata: ${Buffer.from(output.payload).toString()}\n\n`;
      }
      if (text !== "") yield text;
      if (signal.aborted) return;
    }
    if (read > 0 || (await arrived(places, signal, heartbeatMs))) continue;
    // Where nothing matched the place moves on all the same; without data it is only noted.
    yield cursor() === told ? ":\n\n" : `:\nid: ${cursor()}\n\n`;
    told = cursor();
  }
}

async function takeWhenThere(node: OutputSource, place: FeedPlace, { filter, signal }: FeedOptions): Promise<readonly Output[]> {
  try {
    return await take(node, place, filter);
  } catch (error) {
    if (!isTidemarkError(error, "NATS_UNREACHABLE")) throw error;
    await delay(RECONNECT_MS, undefined, { signal }).catch(() => {});
    return [];
  }
}

async function take(node: OutputSource, place: FeedPlace, filter: OutputFilter): Promise<readonly Output[]> {
  const { job, partition, tail, next } = place;
  const kept = tail.read(next, OUTPUTS_AT_ONCE);
  if (kept !== undefined) return kept;
  const limits = { from: next, limit: OUTPUTS_AT_ONCE, bytesMax: BYTES_AT_ONCE };
  const { job: _job, ...ofShard } = filter;
  const { items } = await node.outputs.page(job, partition, { ...limits, ...ofShard });
  if (items.length > 0 || (filter.key === undefined && filter.type === undefined)) return items;
  // Nothing matches, says somebody who may lag: only the leader's word moves the place to the end.
  const stream = outputStreamName(job, partition);
  const { state } = await streamInfo(node.nc, stream);
  const subject = `${outputSubjectRoot(job, partition)}.${filter.key ?? "*"}.${filter.type ?? ">"}`;
  const match = await storedMessage(node.nc, stream, { next_by_subj: subject, seq: next });
  if (match !== undefined) {
    return [{ k: match.sequence, subject: match.subject, payload: match.payload, chain: match.headers?.get(CHAIN_HEADER) ?? "" }];
  }
  place.next = Math.max(next, state.last_seq + 1);
  return [];
}

/** What bears no chain was not written by Tidemark: the shard halts for it, and it is shown to nobody. */
function matches(output: Output, place: FeedPlace, { key, type }: OutputFilter): boolean {
  if (output.chain === "") return false;
  if (type !== undefined && typeOf(output, place) !== type) return false;
  return key === undefined || output.subject.startsWith(`${outputSubjectRoot(place.job, place.partition)}.${key}.`);
}

/** What stands behind the key in the subject. */
function typeOf({ subject }: Output, { job, partition }: FeedPlace): string {
  const key = outputSubjectRoot(job, partition).length + 1;
  return subject.slice(subject.indexOf(".", key) + 1);
}

/** False when nothing has come within `timeoutMs`. */
async function arrived(places: readonly FeedPlace[], signal: AbortSignal, timeoutMs: number): Promise<boolean> {
  const stops: (() => unknown)[] = [];
  try {
    return await new Promise<boolean>((resolve) => {
      for (const { tail, next } of places) stops.push(tail.wait(next, () => resolve(true)));
      const timer = setTimeout(() => resolve(false), timeoutMs);
      const end = (): void => resolve(true);
      signal.addEventListener("abort", end, { once: true });
      stops.push(
        () => clearTimeout(timer),
        () => signal.removeEventListener("abort", end),
      );
      if (signal.aborted) end();
    });
  } finally {
    for (const stop of stops) stop();
  }
}
