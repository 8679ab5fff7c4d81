/** Brings results from where they lie: once for who only asks, again and again for who cannot go on without. */
import type { StoredOutput } from "../../actors/fold/stored-results.ts";
import type { Clock } from "../clock.ts";
import { messageWithPage } from "../doc-page.ts";
import { isTidemarkError, type TidemarkError } from "../errors.ts";
import { DOUBT_MS, RETRY_MAX_MS, RETRY_MS } from "./bounds.ts";
import type { ResultBlobs } from "./result-blobs.ts";

export interface Patience {
  readonly clock: Clock;
  /** Told once of each failure that is waited for. */
  readonly notice: (message: string) => void;
}

/** The place, or the way there, is away for now. */
const PASSING = ["SNAPSHOT_STORE", "NATS_UNREACHABLE", "NATS_STORAGE"] as const;

export class Bringer {
  readonly #results: ResultBlobs;
  readonly #patience: Patience | undefined;
  /** Of the failure that was told last. */
  #told = "";

  constructor(results: ResultBlobs, patience: Patience | undefined) {
    this.#results = results;
    this.#patience = patience;
  }

  /**
   * A result's JSON. A place that does not answer is waited for, until `signal` is aborted; that a result is gone or damaged
   * is believed when it stays so. Without patience it throws at once, as {@link ResultBlobs.get}.
   */
  async bring(stored: StoredOutput, signal: AbortSignal): Promise<string> {
    const from = this.#patience?.clock.monotonic() ?? 0;
    for (let pause = RETRY_MS; ; pause = Math.min(pause * 2, RETRY_MAX_MS)) {
      try {
        const json = await this.#results.get(stored);
        this.#told = "";
        return json;
      } catch (error) {
        if (this.#patience === undefined || signal.aborted || !isTidemarkError(error)) throw error;
        const { clock } = this.#patience;
        const doubted = error.code === "RESULT_CONTENT" && clock.monotonic() - from < DOUBT_MS;
        if (!doubted && !PASSING.some((code) => error.code === code)) throw error;
        this.#tell(error);
        await clock.sleep(pause, signal);
      }
    }
  }

  #tell(error: TidemarkError): void {
    if (this.#told === error.message) return;
    this.#told = error.message;
    this.#patience?.notice(`a result is waited for: ${messageWithPage(error)}`);
  }
}
