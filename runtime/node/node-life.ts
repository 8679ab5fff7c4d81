/**
 * How a node ends when one of its threads does. Crash-only: when a thread ends or hangs, the process kills itself and the
 * supervisor starts it again; once everything is committed a thread may end.
 */
import { systemClock } from "../clock.ts";
import type { TidemarkError } from "../errors.ts";
import { type Watched, watch } from "./watchdog.ts";

export class NodeLife {
  readonly #hangMs: number;
  readonly #stopWatching = new Set<() => void>();
  #drained = false;

  constructor(hangMs: number) {
    this.#hangMs = hangMs;
  }

  /** A thread has ended. */
  readonly lost = (error: TidemarkError): void => {
    if (this.#drained) return;
    this.#drained = true;
    die(error.message);
  };

  /** Until the function that it gives is called. */
  watch(threads: readonly Watched[]): () => void {
    const hung = (name: string): void => die(`${name} showed no sign of life for ${this.#hangMs} ms.`);
    const stop = watch(threads, systemClock, this.#hangMs, hung);
    this.#stopWatching.add(stop);
    return () => {
      this.#stopWatching.delete(stop);
      stop();
    };
  }

  /** Everything is committed. */
  readonly drained = (): void => {
    this.#drained = true;
    for (const stop of this.#stopWatching) stop();
  };
}

function die(reason: string): void {
  process.stderr.write(`tidemark: ${reason} Ending the process; the supervisor starts it again.\n`);
  process.kill(process.pid, "SIGKILL");
}
