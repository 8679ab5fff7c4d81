/**
 * Which generations run on this node: those of its jobs that are ready, as the bucket says. It looks again every second,
 * so that a generation that another node begins, switches to or drops is followed here too.
 */
import type { Job } from "../../actors/model/job.ts";
import type { Clock } from "../clock.ts";
import type { GenerationBucket } from "./generation-bucket.ts";
import { type GenerationRecord, jobName, jobNamed } from "./generation-record.ts";

/** What the node does with them. */
export interface GenerationHost {
  /** Streams and shards of a generation; called again for one whose start failed. */
  start(job: Job): Promise<void>;
  /** Its shards stop, and their state here goes with them. */
  end(job: string): Promise<void>;
  /** By job: the name of the one whose outputs sinks follow, where that is not the job itself. */
  follow(active: Readonly<Record<string, string>>): Promise<void>;
}

export interface HostingParts {
  readonly bucket: GenerationBucket;
  readonly host: GenerationHost;
  /** Of the app. */
  readonly jobs: readonly Job[];
  readonly clock: Clock;
  readonly notice: (message: string) => void;
}

const LOOK_EVERY_MS = 1_000;

export class GenerationHosting {
  readonly #parts: HostingParts;
  readonly #abort = new AbortController();
  readonly #running = new Set<string>();
  #revision = -1;
  #queue: Promise<unknown> = Promise.resolve();
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: HostingParts) {
    this.#parts = parts;
  }

  /** Brings up what is there now, then keeps looking. */
  async start(): Promise<void> {
    await this.sync();
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#loop;
    await this.#queue;
  }

  /** Resolves when what the bucket says now is so here, as far as it can be. */
  sync(): Promise<void> {
    const done = this.#queue.then(() => this.#sync());
    this.#queue = done.catch(() => {});
    return done;
  }

  async #run(): Promise<void> {
    const { clock, bucket, notice } = this.#parts;
    const { signal } = this.#abort;
    let told = "";
    for (;;) {
      await clock.sleep(LOOK_EVERY_MS, signal);
      if (signal.aborted) return;
      try {
        if ((await bucket.revision()) !== this.#revision) await this.sync();
        told = "";
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (!signal.aborted && message !== told) notice(`generations could not be looked at: ${message}`);
        told = message;
      }
    }
  }

  async #sync(): Promise<void> {
    const { bucket, host, jobs, notice } = this.#parts;
    if (this.#abort.signal.aborted) return;
    const revision = await bucket.revision();
    const records = (await bucket.generations(notice)).filter(({ job }) => jobs.some(({ name }) => name === job));
    await host.follow(await bucket.active(notice));
    const ready = new Map(records.filter(({ status }) => status === "ready").map((record) => [jobName(record), record]));
    let failed = false;
    for (const name of [...this.#running]) {
      if (ready.has(name)) continue;
      await host.end(name);
      this.#running.delete(name);
    }
    for (const [name, record] of ready) {
      if (!this.#running.has(name) && !(await this.#begin(name, record))) failed = true;
    }
    // Whatever failed is tried again with the next look.
    this.#revision = failed ? -1 : revision;
  }

  async #begin(name: string, { job }: GenerationRecord): Promise<boolean> {
    const { host, jobs, notice } = this.#parts;
    const found = jobNamed(jobs, name);
    if (found?.origin !== job) return true;
    try {
      await host.start(found);
      this.#running.add(name);
      return true;
    } catch (error) {
      notice(`the generation ${name} was not started: ${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
  }
}
