/** Questions about the past: the moment that they name, and an answer now or, when much is to be folded, an operation. */
import { Type } from "typebox";
import { parsePosition } from "../../actors/model/position.ts";
import { parseInstant } from "../../actors/model/time.ts";
import { TidemarkError } from "../../runtime/errors.ts";
import type { JobMoment } from "../../runtime/generations/past-bases.ts";
import type { HistoricTarget } from "../../runtime/history/historic-target.ts";
import type { FoldWatch, Past, PastShard } from "../../runtime/history/history.ts";
import type { Node, RunningJob } from "../../runtime/node/node.ts";
import { started } from "./operations.ts";
import { notFound } from "./problem.ts";
import type { RouteAnswer } from "./route.ts";

export const PAST_QUERY = {
  at: Type.Optional(
    Type.String({ description: "State as of then: a position, like 2:594.0, or a log time (RFC 3339). 202 when much must be folded." }),
  ),
  atEventTime: Type.Optional(
    Type.String({ format: "date-time", description: "State as of the first position at which the watermark had reached it." }),
  ),
};

export interface PastQuery {
  readonly at?: string | undefined;
  readonly atEventTime?: string | undefined;
}

/** `undefined` when the present is asked for. Throws INPUT_INVALID. */
export function readTarget({ at, atEventTime }: PastQuery, partition: number): HistoricTarget | undefined {
  if (at !== undefined && atEventTime !== undefined) throw invalid("at and atEventTime: give one of them");
  if (atEventTime !== undefined) return { kind: "event-time", time: readTime("atEventTime", atEventTime) };
  if (at === undefined) return undefined;
  const moment = readMoment(at);
  if (moment.kind === "log-time") return moment;
  const { sequence, index } = moment;
  if (moment.partition === partition) return { kind: "position", sequence, index };
  throw invalid(`at: ${at} is of partition ${moment.partition}; this key is in partition ${partition}`);
}

/** A position or a log time. Throws INPUT_INVALID. */
export function readMoment(at: string): JobMoment {
  const position = parsePosition(at);
  return position === undefined ? { kind: "log-time", time: readTime("at", at) } : { kind: "position", ...position };
}

function readTime(name: string, text: string): number {
  const time = parseInstant(text);
  if (time !== undefined) return time;
  throw invalid(`${name}: "${text.slice(0, 64)}" is no ${name === "at" ? "position, like 2:594.0, and no " : ""}RFC 3339 date-time`);
}

function invalid(what: string): TidemarkError {
  return new TidemarkError("INPUT_INVALID", `${what}.`);
}

export function pastShard({ job, map }: RunningJob, partition: number): PastShard {
  return { job, partition, partitions: map.partitions };
}

/**
 * What `answer` gives; where more must be folded than a caller waits for, the operation whose result it will be. When it
 * gives nothing: 404, and of an operation the result null.
 */
export async function answerPast(
  node: Node,
  shard: PastShard,
  target: HistoricTarget,
  { who, signal }: { readonly who: string; readonly signal: AbortSignal },
  missing: string,
  answer: (past: Past, watch: FoldWatch) => Promise<object | undefined>,
): Promise<RouteAnswer> {
  const past = await node.history.past(shard, target);
  return await answerNowOrLater(node, past, { who, signal }, (watch) => answer(past, watch), missing);
}

/** The same, of a question whose length is known. */
export async function answerNowOrLater(
  node: Node,
  past: Past,
  { who, signal }: { readonly who: string; readonly signal: AbortSignal },
  answer: (watch: FoldWatch) => Promise<object | undefined>,
  missing = "",
): Promise<RouteAnswer> {
  if (!node.history.isLong(past)) {
    const body = await answer({ signal });
    if (body === undefined) throw notFound(missing);
    return { status: 200, body };
  }
  return started(
    node.operations.start({ kind: "history", unit: "entries", who }, ({ signal: cancelled, report }) =>
      answer({ signal: cancelled, report }),
    ),
  );
}
