/**
 * Takes the last messages off a stream, so that the next one gets the number behind those that stay. No stream can be asked for that:
 * whoever deletes a message leaves its number taken. So what stays is copied, with its numbers, to a stream beside it and back.
 *
 *   delete the tail ──▶ beside: a mirror of it ──▶ delete the stream ──▶ the stream: a mirror of the one beside ──▶ delete that one
 *
 * At each of these steps one of the two is whole. The one beside has all that the other is to be made of, so a promotion that was cut
 * off goes on where it was: see {@link finishCuts}.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { TidemarkError } from "../errors.ts";
import { askApi, askStream, refusalOf, SERVER_ERROR, storedMessage, streamInfo } from "../log/jetstream-api.ts";
import { deleteMessages } from "./mirror-sync.ts";
import {
  detachedConfig,
  localMirrorConfig,
  type MirroredStream,
  mirroredStreams,
  updateStream,
  type WholeConfig,
} from "./mirrored-streams.ts";
import { CHANGE, type StillAlone } from "./promotion-lock.ts";

/** A message that is taken off. */
export interface RemovedMessage {
  readonly stream: string;
  readonly sequence: number;
  readonly subject: string;
  readonly time: number;
  readonly payload: Uint8Array;
}

const BESIDE = "tidemark-cut-";
const POLL_MS = 20;
/** A copy that gets no further for so long has stopped. */
const STILL_MS = 60_000;

/** Whether it is one that is beside another while that is cut. */
export function isBeside(stream: string): boolean {
  return stream.startsWith(BESIDE);
}

/** Of a detached stream. `told` has each message before it is deleted. Gives the last number that is left: below `end` where that was erased. */
export async function cutStream(
  nc: NatsConnection,
  mirrored: MirroredStream,
  end: number,
  told: (message: RemovedMessage) => void,
  alone: StillAlone,
): Promise<number> {
  const { stream } = mirrored;
  const tail: number[] = [];
  for (let seq = end + 1; ; ) {
    const message = await storedMessage(nc, stream, { next_by_subj: ">", seq });
    if (message === undefined) break;
    const { sequence, subject, logTime, payload } = message;
    told({ stream, sequence, subject, time: logTime, payload });
    tail.push(sequence);
    seq = sequence + 1;
  }
  await deleteMessages(nc, stream, tail, true, alone);
  const beside = BESIDE + stream;
  const { state } = await streamInfo(nc, stream);
  await make(nc, state.messages === 0 ? emptyConfig(mirrored, end, beside) : localMirrorConfig(mirrored, beside, stream), beside);
  return within(stream, end, await moveOver(nc, mirrored, alone));
}

/** A mirror of a stream that holds nothing takes over the number of what was there last: one that ends at `end` is made by itself. */
function emptyConfig(mirrored: MirroredStream, end: number, name: string): object {
  return { ...detachedConfig(mirrored, name), ...(end === 0 ? {} : { first_seq: end + 1 }) };
}

function within(stream: string, end: number | undefined, last: number): number {
  if (end !== undefined && last > end) throw new Error(`${stream} was to end at ${end}, and ends at ${last}`);
  return last;
}

/** Ends what a promotion that was cut off has begun: where there is one beside it, the tail is gone already. */
export async function finishCuts(nc: NatsConnection, alone: StillAlone): Promise<void> {
  const streams = await mirroredStreams(nc);
  for (const beside of streams.filter(({ stream }) => isBeside(stream))) {
    const found = streams.find(({ stream }) => stream === beside.origin.name);
    const followed = (found?.info.config as WholeConfig | undefined)?.mirror?.name;
    const last = await (found === undefined || followed === beside.stream ? putBack(nc, beside, alone) : moveOver(nc, found, alone));
    within(beside.origin.name, beside.cut, last);
  }
}

async function moveOver(nc: NatsConnection, mirrored: MirroredStream, alone: StillAlone): Promise<number> {
  const { stream } = mirrored;
  const { state } = await streamInfo(nc, stream);
  await untilCopied(nc, BESIDE + stream, state.messages);
  if (state.messages > 0) await updateStream(nc, detachedConfig(mirrored, BESIDE + stream), BESIDE + stream);
  await remove(nc, stream, alone);
  return await putBack(nc, mirrored, alone);
}

async function putBack(nc: NatsConnection, mirrored: MirroredStream, alone: StillAlone): Promise<number> {
  const { name } = mirrored.origin;
  const beside = BESIDE + name;
  const { state } = await streamInfo(nc, beside);
  if (state.messages === 0) await make(nc, emptyConfig(mirrored, state.last_seq, name), name);
  else {
    await make(nc, localMirrorConfig(mirrored, name, beside), name);
    await untilCopied(nc, name, state.messages);
    await updateStream(nc, detachedConfig(mirrored), name);
  }
  await remove(nc, beside, alone);
  return state.last_seq;
}

async function make(nc: NatsConnection, config: object, stream: string): Promise<void> {
  const { error } = await askApi(nc, `STREAM.CREATE.${stream}`, config);
  // An earlier try whose answer was lost.
  if (error !== undefined && error.err_code !== SERVER_ERROR.streamNameTaken) throw refusalOf(error, stream);
}

async function untilCopied(nc: NatsConnection, stream: string, messages: number): Promise<void> {
  let seen = -1;
  for (let since = performance.now(); ; ) {
    const { state } = await streamInfo(nc, stream);
    if (state.messages >= messages) return;
    if (state.messages > seen) since = performance.now();
    else if (performance.now() - since > STILL_MS)
      throw new TidemarkError("NATS_UNREACHABLE", `${stream} has ${state.messages} of ${messages} messages and gets no further.`);
    seen = Math.max(seen, state.messages);
    await delay(POLL_MS);
  }
}

async function remove(nc: NatsConnection, stream: string, alone: StillAlone): Promise<void> {
  await alone();
  await askStream(nc, stream, `STREAM.DELETE.${stream}`, undefined, CHANGE);
}
