/**
 * Waiting until the committed state of a shard covers a position: who has appended an event reads what it did.
 *
 * Readers of one shard share one question: the reader thread is asked once each interval for all who wait, however many
 * they are, and the shard is never asked. Their number is bounded.
 */
import { comparePositions, type Position, parsePosition } from "../../actors/model/position.ts";
import { durationMs } from "../../actors/model/time.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import type { Node } from "../../runtime/node/node.ts";
import type { Consistency, ShardPlace } from "../../runtime/node/shard-reads.ts";
import type { CommittedPlace } from "../../runtime/node/state-reader.ts";
import { badRequest, HttpProblem } from "./problem.ts";

export interface AwaitOptions {
  /** `after` of the request. */
  readonly after: string;
  /** `wait` of the request: seconds, or a duration like `500ms`. Default 10 s, at most 30 s. */
  readonly wait: string | undefined;
  /** Whose commit it is that has to cover it. */
  readonly consistency: Consistency;
  readonly signal: AbortSignal;
}

interface Waiter {
  readonly after: Position;
  readonly covered: () => void;
}

interface Watch {
  readonly waiters: Set<Waiter>;
  reached: CommittedPlace | undefined;
}

const WAIT_DEFAULT_MS = 10_000;
const WAIT_MAX_MS = 30_000;
const POLL_MS = 20;
/** Each holds a place among the requests at work: others must have room beside them. */
const WAITERS_MAX = 32;
const SECONDS = /^\d{1,2}$/;

/** By shard and who may answer; only those that somebody waits for. */
const watches = new WeakMap<Node, Map<string, Watch>>();

/**
 * Resolves when the rows of the shard at `place` cover `after`, or the caller is gone. Throws 400 for a position of another partition
 * or a malformed `wait`, 429 `TOO_MANY_WAITERS` beyond 32 waiting readers of a node, 504 `NOT_YET` with the position reached.
 */
export async function awaitPosition(node: Node, place: ShardPlace, options: AwaitOptions): Promise<void> {
  const after = readAfter(options.after, place.partition);
  const waitMs = readWait(options.wait);
  const ofNode = watchesOf(node);
  let waiting = 0;
  for (const { waiters } of ofNode.values()) waiting += waiters.size;
  if (waiting >= WAITERS_MAX) {
    throw new HttpProblem(429, "TOO_MANY_WAITERS", `${WAITERS_MAX} readers wait for positions already.`, { "retry-after": "1" });
  }
  const { consistency } = options;
  const watch = ofNode.get(nameOf(place, consistency)) ?? follow(node, place, consistency, ofNode);
  if (await covers(watch, after, waitMs, options.signal)) return;
  const reached = watch.reached === undefined ? "nothing yet" : watch.reached.position;
  throw new HttpProblem(
    504,
    "NOT_YET",
    `${options.after} is not committed after ${waitMs} ms; ${place.job}/${place.partition} has reached ${reached}.`,
  );
}

function readAfter(text: string, partition: number): Position {
  const position = parsePosition(text);
  if (position === undefined) throw badRequest("after: a position, like 2:594.0, as an append was answered with.");
  if (position.partition === partition) return position;
  throw badRequest(`after: ${text} is of partition ${position.partition}; this key is in partition ${partition}.`);
}

function readWait(text: string | undefined): number {
  if (text === undefined) return WAIT_DEFAULT_MS;
  let ms = Number.POSITIVE_INFINITY;
  try {
    ms = SECONDS.test(text) ? Number(text) * 1_000 : durationMs(text, "wait");
  } catch {
    // One answer for what is none and for what is too long.
  }
  if (ms > WAIT_MAX_MS) throw badRequest("wait: seconds, or a duration like 500ms or 10s; at most 30s.");
  return ms;
}

function watchesOf(node: Node): Map<string, Watch> {
  let ofNode = watches.get(node);
  if (ofNode === undefined) {
    ofNode = new Map();
    watches.set(node, ofNode);
  }
  return ofNode;
}

/** False when the time was over before. */
function covers({ waiters }: Watch, after: Position, waitMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (covered: boolean): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", gone);
      waiters.delete(waiter);
      resolve(covered);
    };
    const gone = (): void => end(true);
    const waiter: Waiter = { after, covered: () => end(true) };
    const timer = setTimeout(() => end(false), waitMs);
    signal.addEventListener("abort", gone, { once: true });
    waiters.add(waiter);
  });
}

/** Asks for the shard's place for as long as somebody waits for it. */
function follow(node: Node, place: ShardPlace, consistency: Consistency, ofNode: Map<string, Watch>): Watch {
  const watch: Watch = { waiters: new Set(), reached: undefined };
  const name = nameOf(place, consistency);
  ofNode.set(name, watch);
  const ask = async (): Promise<void> => {
    watch.reached = await node.reads.read("committed", place, [], consistency);
    for (const waiter of [...watch.waiters]) if (isCovered(waiter.after, watch.reached)) waiter.covered();
  };
  const turn = async (): Promise<void> => {
    try {
      await ask();
    } catch (error) {
      // The reader thread is gone, and the process with it: whoever waits has a bound of time.
      if (!isTidemarkError(error)) process.stderr.write(`${String(error)}\n`);
    }
    if (watch.waiters.size === 0) ofNode.delete(name);
    else setTimeout(() => void turn(), POLL_MS);
  };
  // Behind the caller's own entry into the set.
  queueMicrotask(() => void turn());
  return watch;
}

/** `reached` is the first place that is not committed. */
function isCovered(after: Position, reached: CommittedPlace | undefined): boolean {
  return reached !== undefined && comparePositions(after, { ...after, sequence: reached.sequence, index: reached.index }) < 0;
}

function nameOf({ job, partition }: ShardPlace, consistency: Consistency): string {
  return `${job}/${partition} ${consistency}`;
}
