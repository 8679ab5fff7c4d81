/** What a job has published of one partition, from a place of its log on, page by page, the next page read ahead. */
import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from "@nats-io/jetstream";
import { TidemarkError } from "../errors.ts";
import { outputStreamName } from "../outputs/output-layout.ts";
import { OutputReader } from "../outputs/output-reader.ts";
import type { Output } from "../outputs/output-stream.ts";
import { type OutputPlace, placeOfOutput } from "./compared-output.ts";
import type { PublishedPages } from "./output-comparison.ts";

export interface PublishedStart {
  readonly from: number;
  readonly behind: number | undefined;
}

const PAGE = 1_000;

export class PublishedRange implements PublishedPages {
  /** Outputs up to this place were trimmed away, or may have been. */
  readonly trimmedTo: OutputPlace | undefined;
  readonly #reader: OutputReader;
  readonly #job: string;
  readonly #partition: number;
  #next: number;
  #ahead: ReturnType<OutputReader["page"]> | undefined;

  private constructor(reader: OutputReader, job: string, partition: number, first: number, trimmedTo: OutputPlace | undefined) {
    this.#reader = reader;
    this.#job = job;
    this.#partition = partition;
    this.#next = first;
    this.trimmedTo = trimmedTo;
  }

  /** `from`: the first entry whose outputs are wanted, or all behind the `behind`-th. `undefined` when the job has no output stream. Fails with NATS_UNREACHABLE. */
  static async open(
    jsm: JetStreamManager,
    job: string,
    partition: number,
    { from, behind }: PublishedStart,
  ): Promise<PublishedRange | undefined> {
    const bounds = await boundsOf(jsm, outputStreamName(job, partition));
    if (bounds === undefined) return undefined;
    const reader = new OutputReader(jsm);
    const placeAt = async (k: number): Promise<OutputPlace | undefined> => {
      const { items } = await reader.page(job, partition, { from: k, limit: 1 });
      return items[0] === undefined ? undefined : placeOfOutput(items[0].payload);
    };
    const first = behind === undefined ? await firstFrom(from, bounds.first, bounds.last, placeAt) : Math.max(bounds.first, behind + 1);
    const whole = bounds.first === 1 || (behind !== undefined && behind + 1 >= bounds.first);
    const trimmed = !whole && first === bounds.first && bounds.last >= bounds.first;
    return new PublishedRange(reader, job, partition, first, trimmed ? await placeAt(bounds.first) : undefined);
  }

  /** Empty when nothing more is there by now. */
  async next(): Promise<readonly Output[]> {
    const { items } = await (this.#ahead ?? this.#page());
    this.#ahead = undefined;
    const last = items.at(-1);
    if (last === undefined) return items;
    this.#next = last.k + 1;
    if (items.length === PAGE) {
      this.#ahead = this.#page();
      // Whoever asks for it is told; nobody may ask any more.
      this.#ahead.catch(() => {});
    }
    return items;
  }

  #page(): ReturnType<OutputReader["page"]> {
    return this.#reader.page(this.#job, this.#partition, { from: this.#next, limit: PAGE });
  }
}

async function boundsOf(jsm: JetStreamManager, stream: string): Promise<{ readonly first: number; readonly last: number } | undefined> {
  try {
    const { state } = await jsm.streams.info(stream);
    return { first: Math.max(1, state.first_seq), last: state.last_seq };
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
    throw new TidemarkError("NATS_UNREACHABLE", `Stream ${stream} cannot be asked: ${String(error)}.`, { cause: error });
  }
}

/** Number of the first output that was made of entry `from` or a later one. Places never fall from one output to the next. */
async function firstFrom(
  from: number,
  first: number,
  last: number,
  placeAt: (k: number) => Promise<OutputPlace | undefined>,
): Promise<number> {
  let low = first;
  let high = last + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const place = await placeAt(middle);
    if (place === undefined || place.sequence >= from) high = middle;
    else low = middle + 1;
  }
  return low;
}
