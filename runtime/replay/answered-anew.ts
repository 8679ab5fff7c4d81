/**
 * The entries of a log in which recorded answers of models are replaced where the replay asks something else: another
 * input, or another version of the model. What was asked then is answered from the record, and calls nobody.
 *
 * A result stands where it stood, so what is folded before it is folded with what was known by then. It is held until all
 * before it is folded: only then is it known what the replay has asked under its call's id.
 */
import { type CallRecord, readCallId } from "../../actors/fold/call-row.ts";
import { canonicalJson } from "../../actors/fold/canonical.ts";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { readJournalEntry } from "../../actors/fold/journal.ts";
import type { CallAddress } from "../../actors/fold/keys.ts";
import { type CallResult, type Outcome, type ResultEntry, writeResults } from "../../actors/fold/result-entry.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import { systemClock } from "../clock.ts";
import { primitives } from "../primitives.ts";
import type { EntrySource, SourceReader } from "./replayed-log.ts";

/** What came of the calls to models. Plain, for it crosses threads. */
export interface AnsweredAnew {
  /** Answers that were recorded for the same input and version. */
  readonly reused: number;
  /** Calls that were made. */
  readonly asked: number;
  /** … of which so many gave something else than was recorded. */
  readonly different: number;
}

export interface AnsweringParts {
  /** Whose journal has the results: the origin's. */
  readonly job: string;
  readonly log: string;
  readonly partition: number;
  /** A call of the replay that waits, when all before the entry in hand is folded. */
  readonly callAt: (address: CallAddress) => CallRecord | undefined;
  /** Of the present owner: a failure counts only from it. */
  readonly term: () => number | undefined;
  /** Asks the model that the target names. */
  readonly ask: (call: CallRecord, id: string) => Promise<Outcome>;
}

/** Calls that are asked at a time: their time begins when they are asked. */
const ASKED_AT_ONCE = 64;

type Ask = () => Promise<CallResult>;

export class AnsweringSource implements EntrySource {
  readonly #source: EntrySource;
  readonly #parts: AnsweringParts;
  #reused = 0;
  #asked = 0;
  #different = 0;

  constructor(source: EntrySource, parts: AnsweringParts) {
    this.#source = source;
    this.#parts = parts;
  }

  get stream(): string {
    return this.#source.stream;
  }

  get firstSequence(): number {
    return this.#source.firstSequence;
  }

  get answered(): AnsweredAnew {
    return { reused: this.#reused, asked: this.#asked, different: this.#different };
  }

  read(fromSequence: number): SourceReader {
    const { log, partition, job } = this.#parts;
    const journal = journalSubject(log, partition, job);
    const isResults = (entry: LogEntry): boolean => entry.subject === journal && resultsOf(entry) !== undefined;
    return new AnsweringReader(this.#source.read(fromSequence), isResults, (entry) => this.#answer(entry));
  }

  /** The entry with what the replay's calls are answered. `undefined`: it is right as it stands. */
  #answer(entry: LogEntry): Promise<LogEntry> | undefined {
    const { term, results } = resultsOf(entry)!;
    const asks = results.map((result) => this.#askOf(result));
    if (asks.every((ask) => ask === undefined)) return undefined;
    return this.#answers(results, asks).then((all) => ({
      ...entry,
      payload: Buffer.from(writeResults(this.#parts.term() ?? term, all)),
    }));
  }

  async #answers(results: readonly CallResult[], asks: readonly (Ask | undefined)[]): Promise<CallResult[]> {
    const all: CallResult[] = [];
    for (let from = 0; from < results.length; from += ASKED_AT_ONCE) {
      const part = results.slice(from, from + ASKED_AT_ONCE);
      all.push(...(await Promise.all(part.map((result, i) => asks[from + i]?.() ?? result))));
    }
    return all;
  }

  #askOf(result: CallResult): Ask | undefined {
    const { job, partition, callAt, ask } = this.#parts;
    const named = readCallId(result.call, () => job, partition);
    const call = named === undefined ? undefined : callAt(named.address);
    if (named === undefined || call === undefined || call.effect !== named.effect || !call.target.startsWith("infer ")) return undefined;
    if (call.hash === result.input) {
      this.#reused++;
      return undefined;
    }
    this.#asked++;
    return async () => {
      const outcome = await ask(call, result.call);
      if (outputText(outcome) !== outputText(result)) this.#different++;
      return { ...outcome, call: result.call, input: call.hash };
    };
  }
}

class AnsweringReader implements SourceReader {
  readonly #reader: SourceReader;
  readonly #isResults: (entry: LogEntry) => boolean;
  readonly #answer: (entry: LogEntry) => Promise<LogEntry> | undefined;
  /** Taken from the reader and not given out. */
  #held: LogEntry[] = [];
  #answering: Promise<void> | undefined;
  #answered: LogEntry | undefined;
  #failure: unknown;

  constructor(reader: SourceReader, isResults: (entry: LogEntry) => boolean, answer: (entry: LogEntry) => Promise<LogEntry> | undefined) {
    this.#reader = reader;
    this.#isResults = isResults;
    this.#answer = answer;
  }

  get ended(): boolean {
    return this.#held.length === 0 && this.#answered === undefined && this.#reader.ended === true;
  }

  /** It is asked when all that it gave before is folded. */
  take(maxEntries: number): LogEntry[] {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#answering !== undefined) return [];
    const answered = this.#answered;
    this.#answered = undefined;
    if (answered !== undefined) return [answered];
    if (this.#held.length === 0) this.#held = this.#reader.take(maxEntries);
    const next = this.#held.findIndex(this.#isResults);
    if (next !== 0) return this.#held.splice(0, next === -1 ? this.#held.length : next);
    const answer = this.#answer(this.#held[0]!);
    if (answer === undefined) return this.#held.splice(0, 1);
    this.#answering = answer.then(
      (entry) => {
        this.#isAnswered(entry);
      },
      (error: unknown) => {
        this.#failure = error;
      },
    );
    return [];
  }

  async readable(timeoutMs: number): Promise<void> {
    if (this.#answering !== undefined) await Promise.race([this.#answering, systemClock.sleep(timeoutMs)]);
    else if (this.#held.length === 0 && this.#answered === undefined) await this.#reader.readable(timeoutMs);
  }

  backlog(): number {
    return this.#held.length + (this.#answered === undefined ? 0 : 1) + this.#reader.backlog();
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }

  /** It is given out by itself: what follows may have results that must be held again. */
  #isAnswered(entry: LogEntry): void {
    this.#held.shift();
    this.#answered = entry;
    this.#answering = undefined;
  }
}

function resultsOf({ payload }: LogEntry): ResultEntry | undefined {
  const text = primitives.decodeUtf8(payload);
  const entry = text === undefined ? undefined : readJournalEntry(text);
  return entry?.kind === "result" ? entry : undefined;
}

function outputText(outcome: Outcome): string {
  return "failed" in outcome ? `failed ${outcome.failed.code}` : canonicalJson(outcome.output);
}
