/**
 * Redrives of dead letters: commands in a job's journal. What is to be put back is written into the command, so that the
 * fold needs nothing but the log.
 */
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { type Static, Type } from "typebox";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { type Redriven, writeRedrive } from "../../actors/fold/journal.ts";
import { redrivenCall } from "../../actors/fold/redriven-call.ts";
import { journalSubject, storedSubject } from "../../actors/fold/subject.ts";
import type { Job } from "../../actors/model/job.ts";
import { formatPosition, type Position, parsePosition } from "../../actors/model/position.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { readBatch } from "../../runtime/log/direct-batch.ts";
import { streamOf } from "../../runtime/log/slot-map.ts";
import type { Node } from "../../runtime/node/node.ts";
import { primitives } from "../../runtime/primitives.ts";
import { type WholeLog, wholeLogOf } from "../../runtime/results/whole-log.ts";
import type { DeadLetter } from "./dead-letter.ts";
import { HttpProblem } from "./problem.ts";
import { Instant, Position as PositionText } from "./shapes.ts";
import { storedEntry, storedEvent } from "./stored-event.ts";

export const RedriveNote = Type.Object({
  position: PositionText,
  at: Type.String({ ...Instant, description: "When the log took it." }),
  who: Type.String(),
  reason: Type.String(),
});
export type RedriveNote = Static<typeof RedriveNote>;

const PAGE_ENTRIES = 1_000;
const PAGE_BYTES_MAX = 4 * 1024 * 1024;
const PAGES_MAX = 50;
const TIMEOUT_MS = 5_000;

export class Redrives {
  readonly #nc: NatsConnection;
  readonly #results: Node["results"];
  #jsm: Promise<JetStreamManager> | undefined;

  /** `results`: where large results lie. */
  constructor(nc: NatsConnection, results: Node["results"]) {
    this.#nc = nc;
    this.#results = results;
  }

  /** Appends the command; gives its position. Throws 409 `NOT_REDRIVABLE`, the refusals of an append, and SNAPSHOT_STORE for a large result. */
  async append(job: Job, letter: DeadLetter, who: string, reason: string | undefined): Promise<string> {
    const { id, shard, handler } = letter;
    const log = wholeLogOf(this.#nc, job, shard, this.#results);
    const of = await this.#originalOf(job, letter, log);
    const command = writeRedrive({ deadLetter: id, handler, who, reason, of });
    return formatPosition(shard, await log.append(journalSubject(job.log, shard, job.name), Buffer.from(command)), 0);
  }

  /** The commands that named this dead letter; `undefined` when more entries follow it in the journal than are looked at, 50,000. */
  async of(job: Job, letter: DeadLetter): Promise<RedriveNote[] | undefined> {
    this.#jsm ??= jetstreamManager(this.#nc, { checkAPI: false });
    const jsm = await this.#jsm;
    const plain = await this.#notesOn(jsm, journalSubject(job.log, letter.shard, job.name), job, letter);
    const large = plain && (await this.#notesOn(jsm, storedSubject(job.log, letter.shard, job.name), job, letter));
    return large && [...plain, ...large].sort((a, b) => sequenceOf(a) - sequenceOf(b));
  }

  async #notesOn(jsm: JetStreamManager, subject: string, job: Job, letter: DeadLetter): Promise<RedriveNote[] | undefined> {
    const notes: RedriveNote[] = [];
    const stream = streamOf(job.log, letter.shard);
    let from = parsePosition(letter.position)?.sequence ?? 1;
    for (let page = 0; page < PAGES_MAX; page++) {
      const entries = await readBatch(jsm, { stream, from, subject, limit: PAGE_ENTRIES, bytesMax: PAGE_BYTES_MAX, timeoutMs: TIMEOUT_MS });
      for (const { seq, time, data } of entries) {
        const command = redriveIn(data, letter.id);
        if (command === undefined) continue;
        const { who, reason } = command;
        notes.push({ position: formatPosition(letter.shard, seq, 0), at: formatInstant(time.getTime()), who, reason });
      }
      const last = entries.at(-1);
      if (last === undefined || last.pending === 0) return notes;
      from = last.seq + 1;
    }
    return undefined;
  }

  async #originalOf(job: Job, letter: DeadLetter, log: WholeLog): Promise<Redriven> {
    const { id, key, timer, call, kept, excerpt } = letter;
    if (timer !== undefined) {
      const { name: _name, ...fired } = timer;
      return kept === true ? { key, timer: fired, kept } : { key, timer: fired, data: timerData(id, excerpt) };
    }
    const position = parsePosition(letter.position);
    if (call !== undefined) {
      const redriven = position === undefined ? undefined : await this.#resultOf(job, letter, position, log);
      if (redriven === undefined) throw notRedrivable(`${id}: the log no longer holds the result at ${letter.position}.`);
      return redriven;
    }
    const event = position === undefined ? undefined : await storedEvent(this.#nc, job.log, position);
    if (event === undefined) throw notRedrivable(`${id}: the log no longer holds the event at ${letter.position}.`);
    // On its key's own subject an event need not say its key; in the journal nothing else does.
    return { event: typeof event.subject === "string" ? event : { ...event, subject: key } };
  }

  /** Only the job's own journal has its results. */
  async #resultOf(job: Job, letter: DeadLetter, at: Position, log: WholeLog): Promise<Redriven | undefined> {
    const stored = await storedEntry(this.#nc, job.log, at);
    const entry = stored === undefined ? undefined : await wholeOrNone(log, stored);
    if (entry?.subject !== journalSubject(job.log, letter.shard, job.name)) return undefined;
    return redrivenCall(letter, primitives.decodeUtf8(entry.payload) ?? "", at.index);
  }
}

function sequenceOf({ position }: RedriveNote): number {
  return parsePosition(position)?.sequence ?? 0;
}

/** `undefined` when a large result of it is gone, or is damaged. */
async function wholeOrNone(log: WholeLog, entry: LogEntry): Promise<LogEntry | undefined> {
  try {
    return await log.whole(entry);
  } catch (error) {
    if (isTidemarkError(error, "RESULT_CONTENT")) return undefined;
    throw error;
  }
}

/** The excerpt of a timer's dead letter is the JSON of its data. Throws 409 when that was cut. */
function timerData(id: string, excerpt: string): unknown {
  try {
    return JSON.parse(excerpt) as unknown;
  } catch {
    throw notRedrivable(`${id}: the dead letter does not hold the timer's data as a whole.`);
  }
}

function redriveIn(data: Uint8Array, deadLetter: string): { readonly who: string; readonly reason: string } | undefined {
  // Most of a journal are empty ticks.
  if (data.length === 0) return undefined;
  try {
    const entry = JSON.parse(Buffer.from(data).toString()) as Readonly<Record<string, unknown>>;
    if (entry.kind !== "redrive" || entry.deadLetter !== deadLetter) return undefined;
    return { who: String(entry.who), reason: typeof entry.reason === "string" ? entry.reason : "" };
  } catch {
    return undefined;
  }
}

function notRedrivable(detail: string): HttpProblem {
  return new HttpProblem(409, "NOT_REDRIVABLE", detail);
}
