/**
 * Follows the outputs of all jobs for a terminal, and counts those that belong to the samples: made up to the entry that
 * ends the sample of their partition, or behind it of the answer to a call that was asked for up to there. So whenever
 * models answer, the same are counted.
 */

import type { OutputReader } from "../../runtime/outputs/output-reader.ts";
import type { RunningShards } from "./api-client.ts";

export interface Summary {
  readonly published: number;
  readonly outputs: Readonly<Record<string, number>>;
  readonly deadLetters: number;
  readonly quarantined: number;
}

const PAGE = 1_000;

/** As far as it is looked at here; the whole CloudEvent. */
interface OutputEvent {
  readonly type: string;
  readonly subject?: string;
  readonly time: string;
  readonly position: string;
  /** Id of the event that the handler was called for, or that asked for the call. */
  readonly causeid?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export class DerivedOutputs {
  readonly #reader: OutputReader;
  readonly #write: (line: string, output: OutputEvent) => void;
  readonly #next = new Map<string, number>();
  readonly #counts = new Map<string, number>();
  /** By job: sequence of the entry that ends the sample, by partition. */
  readonly #ends: Map<string, readonly number[]>;
  /** Outputs of jobs whose samples end where nobody knows yet. */
  readonly #uncounted: ReadonlyMap<string, { readonly shard: number; readonly event: OutputEvent }[]>;
  /** By shard: outputs of the position that came last, behind the end. What is told of an answer comes behind what it made. */
  readonly #behind = new Map<string, OutputEvent[]>();
  /** Shards that were seen with all of their sample. */
  readonly #drained = new Set<string>();

  /** `open`: jobs whose ends will be told. */
  constructor(
    reader: OutputReader,
    ends: ReadonlyMap<string, readonly number[]>,
    open: ReadonlySet<string>,
    write: (line: string, output: OutputEvent) => void,
  ) {
    this.#reader = reader;
    this.#ends = new Map(ends);
    this.#uncounted = new Map([...open].map((job) => [job, []]));
    this.#write = write;
  }

  /** Says where the sample of a job ends. */
  end(job: string, ends: readonly number[]): void {
    this.#ends.set(job, ends);
    for (const { shard, event } of this.#uncounted.get(job)?.splice(0) ?? []) this.#count(job, shard, event);
  }

  /** Prints what is new in each shard. True when it has seen all. */
  async poll(shards: RunningShards): Promise<true> {
    for (const { job, shard } of shards) {
      const name = `${job}/${shard}`;
      for (;;) {
        const page = await this.#reader.page(job, shard, { from: this.#next.get(name) ?? 1, limit: PAGE });
        for (const output of page.items) {
          this.#next.set(name, output.k + 1);
          if (output.chain === "") continue; // Not Tidemark's: the shard halts for it.
          const text = Buffer.from(output.payload).toString();
          const event = JSON.parse(text) as OutputEvent;
          this.#count(job, shard, event);
          this.#write(`${text}\n`, event);
        }
        if (page.next === undefined) break;
      }
    }
    return true;
  }

  /** True when every shard has folded its sample and has its calls answered, and what came of both is stored and was seen here. */
  complete(shards: RunningShards): boolean {
    if ([...this.#uncounted.keys()].some((job) => !this.#ends.has(job))) return false;
    for (const { job, shard, position, pendingCalls, outputs, outputsStored, status } of shards) {
      const name = `${job}/${shard}`;
      const isFolded = status === "running" && sequenceOf(position) >= this.#endOf(job, shard) && pendingCalls === 0;
      // Events that come behind the sample may ask for calls without end: it is drained all the same.
      if (isFolded && outputsStored >= outputs && (this.#next.get(name) ?? 1) > outputs) this.#drained.add(name);
    }
    return shards.every(({ job, shard }) => this.#drained.has(`${job}/${shard}`));
  }

  summary(published: number): Summary {
    const outputs = Object.fromEntries([...this.#counts].sort((a, b) => (a[0] < b[0] ? -1 : 1)));
    return { published, outputs, deadLetters: outputs["tidemark.dead-letter"] ?? 0, quarantined: outputs["tidemark.quarantine"] ?? 0 };
  }

  #count(job: string, shard: number, event: OutputEvent): void {
    if (!this.#ends.has(job)) this.#uncounted.get(job)?.push({ shard, event });
    const end = this.#endOf(job, shard);
    if (sequenceOf(event.position) <= end) this.#add(event.type);
    else this.#countBehind(`${job}/${shard}`, end, event);
  }

  #countBehind(name: string, end: number, event: OutputEvent): void {
    const before = this.#behind.get(name);
    const same = before?.[0]?.position === event.position ? before : [];
    this.#behind.set(name, same);
    const { requestedAt } = event.data as { readonly requestedAt?: string };
    if (event.type !== "tidemark.inference") same.push(event);
    else if (requestedAt !== undefined && sequenceOf(requestedAt) <= end) {
      // Timers that fire at the position of an answer have events of their own.
      for (const made of same.splice(0)) if (made.causeid === event.causeid) this.#add(made.type);
      this.#add(event.type);
    }
  }

  #add(type: string): void {
    this.#counts.set(type, (this.#counts.get(type) ?? 0) + 1);
  }

  #endOf(job: string, shard: number): number {
    return this.#ends.get(job)?.[shard] ?? 0;
  }
}

function sequenceOf(position: string): number {
  return Number(position.slice(position.indexOf(":") + 1, position.indexOf(".")));
}
