/**
 * Writes into the job's journal that a call is tried by itself, and waits until the fold has passed that: should the
 * node end with it, the next owner knows. What cannot be appended is tried again until the call ends.
 */
import { writeAttempt } from "../../actors/fold/journal.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import { APPEND_BACKOFF_MAX_MS, APPEND_BACKOFF_MS } from "./bounds.ts";
import type { WriterParts } from "./result-writer.ts";

interface Appended {
  readonly sequence: number;
  readonly passed: () => void;
}

export class AttemptWriter {
  readonly #parts: Pick<WriterParts, "logName" | "job" | "partition" | "log" | "clock" | "term">;
  /** As many as calls that are in flight. */
  readonly #appended = new Set<Appended>();
  /** The entry that the fold comes to next, as of the last turn. */
  #next = 0;

  constructor(parts: Pick<WriterParts, "logName" | "job" | "partition" | "log" | "clock" | "term">) {
    this.#parts = parts;
  }

  /** Resolves when the fold has passed the entry, or `signal` is aborted. */
  async write(call: string, signal: AbortSignal): Promise<void> {
    const sequence = await this.#append(call, signal);
    if (sequence === undefined || signal.aborted || sequence < this.#next) return;
    await new Promise<void>((resolve) => {
      const appended = { sequence, passed: resolve };
      this.#appended.add(appended);
      signal.addEventListener(
        "abort",
        () => {
          this.#appended.delete(appended);
          resolve();
        },
        { once: true },
      );
    });
  }

  /** The fold comes to the entry `next` next. */
  turn(next: number): void {
    this.#next = next;
    for (const appended of this.#appended) {
      if (appended.sequence >= next) continue;
      this.#appended.delete(appended);
      appended.passed();
    }
  }

  async #append(call: string, signal: AbortSignal): Promise<number | undefined> {
    const { log, logName, partition, job, clock, term } = this.#parts;
    for (let backoff = APPEND_BACKOFF_MS; !signal.aborted; backoff = Math.min(backoff * 2, APPEND_BACKOFF_MAX_MS)) {
      try {
        return await log.append(journalSubject(logName, partition, job), Buffer.from(writeAttempt(term(), call)));
      } catch {
        // The log is full, or away: results wait for the same, and tell of it.
        await clock.sleep(backoff, signal);
      }
    }
    return undefined;
  }
}
