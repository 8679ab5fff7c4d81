/** Copiers of reference data beside the shards of one thread: each from when on its log has something to copy. */
import type { NatsConnection } from "@nats-io/transport-node";
import { systemClock } from "../clock.ts";
import type { Shard } from "../shard/shard.ts";
import { ReferenceCopier } from "./reference-copier.ts";
import { NatsReferenceLog } from "./reference-log.ts";

const POLL_MS = 1_000;

export class LogCopiers {
  readonly #nc: NatsConnection;
  readonly #notice: (message: string) => void;
  readonly #abort = new AbortController();
  /** By log: true when its reference stream is there, false when it was waited for in vain. */
  readonly #there = new Map<string, Promise<boolean>>();

  constructor(nc: NatsConnection, notice: (message: string) => void) {
    this.#nc = nc;
    this.#notice = notice;
  }

  /** Copies what is put for the log into the shard's partition, until it is stopped. */
  start({ fold, parts: { job, partition, log } }: Shard): ReferenceCopier {
    const copier = new ReferenceCopier({
      logName: job.log,
      partition,
      log,
      source: new NatsReferenceLog(this.#nc, job.log),
      clock: systemClock,
      notice: this.#notice,
      folded: () => ({ next: fold.meta.cursor.sequence, source: fold.meta.referenceSource }),
    });
    let there = this.#there.get(job.log);
    if (there === undefined) {
      there = this.#until(job.log);
      this.#there.set(job.log, there);
    }
    void there.then((isThere) => (isThere ? copier.run() : undefined));
    return copier;
  }

  /** Waits for no log any more. */
  stop(): void {
    this.#abort.abort();
  }

  /** The stream comes with the first table that is read or the first schema that is activated: one question a moment for all shards of the log. */
  async #until(log: string): Promise<boolean> {
    const stream = new NatsReferenceLog(this.#nc, log);
    const { signal } = this.#abort;
    while (!signal.aborted) {
      // A server that does not answer is asked again.
      if (await stream.exists().catch(() => false)) return true;
      await systemClock.sleep(POLL_MS, signal);
    }
    return false;
  }
}
