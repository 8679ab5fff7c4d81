/**
 * Prints the outputs of jobs as they come: whole CloudEvents, one a line, or on a terminal a line for the eye.
 *
 * A stream that was deleted and made anew (a job that is folded again) is followed from its first output.
 */
import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from "@nats-io/jetstream";
import { isTidemarkError } from "../../runtime/errors.ts";
import { outputStreamName } from "../../runtime/outputs/output-layout.ts";
import { OutputReader } from "../../runtime/outputs/output-reader.ts";
import { dataText } from "./terminal/output-text.ts";
import { printable } from "./terminal/printable.ts";

interface Tail {
  readonly job: string;
  readonly partition: number;
  /** When the stream was created: another one has other outputs under the same numbers. */
  created: string;
  /** Last output printed, or stored before the tail began. */
  k: number;
}

interface OutputEvent {
  readonly id: string;
  readonly type: string;
  readonly subject?: string;
  readonly time: string;
  readonly data: unknown;
}

const PAGE = 1_000;

export class OutputTail {
  readonly #jsm: JetStreamManager;
  readonly #reader: OutputReader;
  readonly #write: (line: string) => void;
  readonly #lineOf: (text: string) => string;
  readonly #tails = new Map<string, Tail>();

  constructor(jsm: JetStreamManager, write: (line: string) => void, terminal: boolean) {
    this.#jsm = jsm;
    this.#reader = new OutputReader(jsm);
    this.#write = write;
    this.#lineOf = terminal ? lineForTheEye : (text) => text;
  }

  /** Begins behind what the streams of these jobs hold now; what is followed already goes on where it is. */
  async begin(jobs: readonly string[]): Promise<void> {
    for (const job of jobs) {
      for (let partition = 0; ; partition++) {
        const name = outputStreamName(job, partition);
        const found = await this.#infoOf(name);
        if (found === undefined) break;
        if (!this.#tails.has(name)) this.#tails.set(name, { job, partition, ...found });
      }
    }
  }

  /** Prints what is new. A server that is away is asked again the next time. */
  async poll(): Promise<void> {
    for (const tail of this.#tails.values()) {
      try {
        await this.#print(tail);
      } catch (error) {
        if (!isTidemarkError(error, "NATS_UNREACHABLE") && !(error instanceof JetStreamApiError)) throw error;
      }
    }
  }

  async #print(tail: Tail): Promise<void> {
    const found = await this.#infoOf(outputStreamName(tail.job, tail.partition));
    if (found === undefined) return;
    if (found.created !== tail.created) Object.assign(tail, { created: found.created, k: 0 });
    while (tail.k < found.k) {
      const page = await this.#reader.page(tail.job, tail.partition, { from: tail.k + 1, limit: PAGE });
      for (const { k, chain, payload } of page.items) {
        tail.k = k;
        // Not Tidemark's: the shard halts for it.
        if (chain !== "") this.#write(`${this.#lineOf(Buffer.from(payload).toString())}\n`);
      }
      if (page.next === undefined) break;
    }
  }

  async #infoOf(stream: string): Promise<{ readonly created: string; readonly k: number } | undefined> {
    try {
      const { created, state } = await this.#jsm.streams.info(stream);
      return { created, k: state.last_seq };
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
      throw error;
    }
  }
}

function lineForTheEye(text: string): string {
  const { id, type, subject = "%", time, data } = JSON.parse(text) as OutputEvent;
  // A key and words of an event may hold escape sequences.
  return printable(`${time}  ${id}  ${type}  ${subject}  ${dataText(type, data)}`);
}
