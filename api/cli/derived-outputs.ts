/**
 * Follows the outputs of all jobs for a terminal, and counts those that belong to the samples.
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

  /** True when every shard has folded its sample, and what came of it is stored and was seen here. */
  complete(shards: RunningShards): boolean {
    if ([...this.#uncounted.keys()].some((job) => !this.#ends.has(job))) return false;
    return shards.every(({ job, shard, position, outputs, outputsStored, status }) => {
      const end = this.#ends.get(job)?.[shard] ?? 0;
      const folded = Number(position.slice(position.indexOf(":") + 1, position.indexOf(".")));
      return status === "running" && folded >= end && outputsStored >= outputs && (this.#next.get(`${job}/${shard}`) ?? 1) > outputs;
    });
  }

  summary(published: number): Summary {
    const outputs = Object.fromEntries([...this.#counts].sort((a, b) => (a[0] < b[0] ? -1 : 1)));
    return { published, outputs, deadLetters: outputs["tidemark.dead-letter"] ?? 0, quarantined: outputs["tidemark.quarantine"] ?? 0 };
  }

  #count(job: string, shard: number, event: OutputEvent): void {
    if (!this.#ends.has(job)) this.#uncounted.get(job)?.push({ shard, event });
    const sequence = Number(event.position.slice(event.position.indexOf(":") + 1, event.position.indexOf(".")));
    if (sequence > (this.#ends.get(job)?.[shard] ?? 0)) return;
    this.#counts.set(event.type, (this.#counts.get(event.type) ?? 0) + 1);
  }
}
