/**
 * A dead letter put back, as an operator does it: an entry in the job's journal that carries the event or the
 * result, read from the log where it stands, or the timer. The shard calls the handler that failed once more, and answers `tidemark.audit`.
 */
import { readItems } from "../../actors/fold/envelope.ts";
import { type Redriven, readJournalEntry, writeRedrive } from "../../actors/fold/journal.ts";
import { redrivenCall } from "../../actors/fold/redriven-call.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import type { Job } from "../../actors/model/job.ts";
import { type Position, parsePosition } from "../../actors/model/position.ts";
import { primitives } from "../primitives.ts";
import type { Published, SideOutputs } from "./published.ts";
import { invalid } from "./test-event.ts";
import type { TestShard } from "./test-shard.ts";

export type DeadLetter = Published<"tidemark.dead-letter", SideOutputs["tidemark.dead-letter"]>;

export interface RedriveOptions {
  /** Who asks. Default `test`. */
  readonly who?: string;
  readonly reason?: string;
}

/** An entry of the job's journal. */
export interface JournalMessage {
  readonly partition: number;
  readonly subject: string;
  readonly payload: Uint8Array;
}

/** Throws TEST_INPUT when the dead letter is none of this test's. */
export async function redriveMessage(
  job: Job,
  shards: readonly TestShard[],
  letter: DeadLetter,
  options: RedriveOptions,
): Promise<JournalMessage> {
  const at = parsePosition(letter.position);
  const shard = at === undefined ? undefined : shards[at.partition];
  if (at === undefined || shard === undefined) throw invalid(`redrive: ${letter.id} is no dead letter of this test`);
  const { who = "test", reason } = options;
  const of = await originalOf(shard, at, letter.data);
  const text = writeRedrive({ deadLetter: letter.id, handler: letter.data.handler, who, reason, of });
  return { partition: at.partition, subject: journalSubject(job.log, at.partition, job.name), payload: Buffer.from(text) };
}

async function originalOf(shard: TestShard, { sequence, index }: Position, letter: DeadLetter["data"]): Promise<Redriven> {
  const { key, timer, call, kept, excerpt } = letter;
  if (timer !== undefined) {
    const { name: _name, ...fired } = timer;
    return kept === true ? { key, timer: fired, kept } : { key, timer: fired, data: dataOf(excerpt) };
  }
  if (call === undefined) return { event: eventAt(shard, sequence, index, key) };
  const entry = await shard.entryAt(sequence);
  const redriven = entry === undefined ? undefined : redrivenCall(letter, primitives.decodeUtf8(entry.payload) ?? "", index);
  if (redriven === undefined) throw invalid(`redrive: entry ${sequence} has no result of the call ${call.id}`);
  return redriven;
}

/** The event as it stands in the log, or in the redrive that failed. */
function eventAt({ log }: TestShard, sequence: number, index: number, key: string): object {
  const entry = log.entryAt(sequence);
  if (entry === undefined) throw invalid(`redrive: the log has no entry ${sequence}`);
  const redriven = readJournalEntry(primitives.decodeUtf8(entry.payload) ?? "");
  const item = redriven?.kind === "redrive" ? { value: redriven.event } : readItems(entry, primitives)[index];
  if (item === undefined || "refused" in item) throw invalid(`redrive: entry ${sequence} has no event ${index}`);
  return { subject: key, ...(item.value as object) };
}

function dataOf(excerpt: string): unknown {
  try {
    return JSON.parse(excerpt);
  } catch {
    throw invalid("redrive: the timer's data is over 4 KiB, so its dead letter has only the beginning");
  }
}
