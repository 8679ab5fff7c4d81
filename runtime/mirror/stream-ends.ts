/**
 * How much of each stream can stay when the first site is gone. Each mirror ends where its link was cut, so one may hold what was made of
 * messages that another one never got. To fold on from there would give other outputs under numbers that are taken. So every stream ends
 * before the first message whose cause is not here:
 *
 * - an output is made of the entry of the log that its `position` names;
 * - an entry of a pump is made of what the pump has read of its source;
 * - a copy of a reference record is made of the record in `<log>-reference`;
 * - an entry with a large result is worth nothing without that result.
 *
 * What is missing the other way round, outputs of entries that are here, is no loss: the fold publishes them again.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { readPumpLink } from "../../actors/fold/pump-entry.ts";
import { readLink } from "../../actors/fold/reference-entry.ts";
import { awayOutputs, type StoredOutput } from "../../actors/fold/stored-results.ts";
import { PUMP_JOURNAL, pumpSubject, referenceSubject, storedSubject } from "../../actors/fold/subject.ts";
import { parsePosition } from "../../actors/model/position.ts";
import { storedMessage } from "../log/jetstream-api.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import { listAllStreams, ownStream } from "../log/own-streams.ts";
import { outputStreamName } from "../outputs/output-layout.ts";
import { primitives } from "../primitives.ts";
import { referenceStream } from "../reference/reference-log.ts";
import { firstSince } from "../trim/trim-facts.ts";
import { jobsOf, subjectsOf } from "./mirror-sync.ts";
import { type MirroredStream, partitionOf } from "./mirrored-streams.ts";

export interface EndsWorld {
  readonly nc: NatsConnection;
  readonly streams: readonly MirroredStream[];
  /** Sources of pumps that were given a name of their own: a log, or `<job>-out`. */
  readonly pumps: ReadonlyMap<string, string>;
  /** Whether a large result of a partition's stream is here, be it damaged; `undefined` where results do not lie in NATS. */
  readonly resultIsHere: ((stream: string, stored: StoredOutput) => Promise<boolean>) | undefined;
}

/** By stream: logs, reference streams and output streams. */
export type StreamEnds = Map<string, number>;

/** A message that an entry was made of. */
interface Cause {
  readonly stream: string;
  readonly sequence: number;
}

/** Clocks of leaders differ, and one that takes over may step back: what was stored so much later than another was made later. */
const CLOCKS_MS = 60_000;

export interface PlannedEnds {
  readonly ends: StreamEnds;
  /** The log stream of each output stream. */
  readonly logs: ReadonlyMap<string, string>;
  /** Those whose source is not known; what they brought was not looked at. */
  readonly unknownPumps: readonly string[];
}

/** Throws NATS_UNREACHABLE. */
export async function planEnds(world: EndsWorld): Promise<PlannedEnds> {
  const numbered = world.streams.filter(({ kind }) => kind === "log" || kind === "reference" || kind === "outputs");
  const ends: StreamEnds = new Map();
  // Those too that a promotion which was cut off has come to the end with.
  for (const { config, state } of await listAllStreams(world.nc))
    if (ownStream(config.subjects) !== undefined) ends.set(config.name, state.last_seq);
  for (const { origin, info, cut } of numbered) ends.set(origin.name, cut ?? info.state.last_seq);
  const logs = world.streams.filter(({ kind }) => kind === "log");
  const unknown = new Set<string>();
  const jobs = new Map(await jobsOf(world.nc, logs, {}));
  // A log may have stopped before its job's first entry there, and only the first site could say whose log it is.
  for (const { origin, log } of numbered) if (log !== undefined && !jobs.has(origin.name)) jobs.set(origin.name, log);
  // All of it was decided by a promotion that was cut off. What it has put into service since would let it come to other ends.
  const decided = numbered.every(({ cut }) => cut !== undefined);
  for (let before = decided ? sumOf(ends) : Number.NaN; before !== sumOf(ends); ) {
    before = sumOf(ends);
    for (const log of logs) ends.set(log.origin.name, await logEnd(world, log, ends, unknown));
    for (const { origin, info } of numbered.filter(({ kind }) => kind === "outputs")) {
      const logOf = jobs.get(origin.name);
      // One of a shadow replay is of no entry, and nobody goes on with it.
      if (logOf === undefined) continue;
      ends.set(origin.name, await outputsEnd(world.nc, origin.name, info.state.first_seq, ends.get(origin.name)!, ends.get(logOf) ?? 0));
    }
  }
  return { ends, logs: jobs, unknownPumps: [...unknown].sort() };
}

/** Ends only fall, so what does not change their sum changes none. */
function sumOf(ends: StreamEnds): number {
  return [...ends.values()].reduce((sum, end) => sum + end, 0);
}

async function logEnd(world: EndsWorld, mirrored: MirroredStream, ends: StreamEnds, unknown: Set<string>): Promise<number> {
  const { nc } = world;
  const { of, stream, info } = mirrored;
  const partition = partitionOf(mirrored);
  const log = new NatsPartitionLog(nc, of, partition);
  const { first_seq: first } = info.state;
  let end = ends.get(stream)!;
  const cutBefore = async (subject: string, since: number, isLost: (entry: LogEntry) => boolean | Promise<boolean>): Promise<void> => {
    let from = await firstSince(log, first, end, since - CLOCKS_MS);
    for (;;) {
      const entry = await log.firstOn(subject, from);
      if (entry === undefined || entry.sequence > end) return;
      if (await isLost(entry)) {
        end = entry.sequence - 1;
        return;
      }
      from = entry.sequence + 1;
    }
  };
  const copies = referenceSubject(of, partition, "*");
  const records = referenceStream(of);
  const recordsEnd = ends.get(records) ?? 0;
  await cutBefore(copies, await storedAt(nc, records, ends), ({ headers }) => (readLink(headers)?.source ?? 0) > recordsEnd);
  for (const { pump, source } of await pumpsInto(nc, stream, of, partition)) {
    const subject = pumpSubject(of, partition, pump, source);
    const newest = causeOf(world.pumps, pump, source, await log.lastOn(subject));
    if (newest === undefined) continue;
    if (!ends.has(newest.stream)) {
      unknown.add(pump);
      continue;
    }
    await cutBefore(subject, await storedAt(nc, newest.stream, ends), (entry) => {
      const cause = causeOf(world.pumps, pump, source, entry);
      return cause !== undefined && cause.sequence > (ends.get(cause.stream) ?? Number.POSITIVE_INFINITY);
    });
  }
  await cutBefore(storedSubject(of, partition, "*"), resultsSince(world), (entry) => lacksResult(world, stream, entry));
  return end;
}

/** When the last message that stays of a stream was stored; 0 when nothing stays, so that all is looked at. */
async function storedAt(nc: NatsConnection, stream: string, ends: StreamEnds): Promise<number> {
  const end = ends.get(stream) ?? 0;
  return end === 0 ? 0 : ((await storedMessage(nc, stream, { next_by_subj: ">", seq: end }))?.logTime ?? 0);
}

async function pumpsInto(nc: NatsConnection, stream: string, log: string, partition: number) {
  const subjects = await subjectsOf(nc, stream, {}, `${log}.p${partition}.j.${PUMP_JOURNAL}.>`);
  return subjects.map((subject) => {
    const [pump, source] = subject.split(".").slice(-2) as [string, string];
    return { pump, source: Number(source) };
  });
}

/** The last message that was read before the entry was written. A pump without a name of its own is called as its source's streams are. */
function causeOf(pumps: ReadonlyMap<string, string>, pump: string, source: number, entry: LogEntry | undefined): Cause | undefined {
  const link = readPumpLink(entry?.headers);
  if (link === undefined) return undefined;
  const { next, stretch } = link;
  const stream = stretch === undefined ? `${pumps.get(pump) ?? pump}-${source}` : outputStreamName(stretch.job, source);
  return { stream, sequence: (next.index > 0 ? next.sequence : next.sequence - 1) - (stretch?.offset ?? 0) };
}

function resultsSince({ streams }: EndsWorld): number {
  const state = streams.find(({ kind, of }) => kind === "bucket" && of === "results")?.info.state as
    | { readonly last_ts?: string }
    | undefined;
  return state?.last_ts === undefined ? 0 : Date.parse(state.last_ts);
}

async function lacksResult({ resultIsHere }: EndsWorld, stream: string, { payload }: LogEntry): Promise<boolean> {
  if (resultIsHere === undefined) return false;
  for (const stored of awayOutputs(primitives.decodeUtf8(payload) ?? "")?.stored ?? []) {
    if (!(await resultIsHere(stream, stored))) return true;
  }
  return false;
}

/** By halves: outputs stand in the order of their entries. */
async function outputsEnd(nc: NatsConnection, stream: string, first: number, last: number, logEnd: number): Promise<number> {
  let low = Math.max(1, first);
  let high = last + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const output = await storedMessage(nc, stream, { next_by_subj: ">", seq: middle });
    if (output === undefined || sequenceOf(output) > logEnd) high = middle;
    else low = output.sequence + 1;
  }
  return low - 1;
}

/** Of the entry that an output was made of. What Tidemark did not write says nothing, and stays for the shard to halt on. */
function sequenceOf({ payload }: LogEntry): number {
  try {
    const { position } = JSON.parse(Buffer.from(payload).toString()) as { readonly position?: unknown };
    return typeof position === "string" ? (parsePosition(position)?.sequence ?? 0) : 0;
  } catch {
    return 0;
  }
}
