/**
 * The newest measures of the inference process, asked for beside everything else: a process that is busy, stuck or gone
 * keeps nobody waiting who looks at them. Of one that is gone the last ones stay until another one has some.
 */
import type { ServiceMeasures } from "../../inference/service/model-meter.ts";
import type { Clock } from "../clock.ts";

/** How old they are at the most, while the process answers. */
const EVERY_MS = 1_000;

export class MeasuresWatch {
  readonly #measure: () => Promise<ServiceMeasures | undefined>;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #started = false;
  #newest: ServiceMeasures | undefined;

  /** `measure` resolves in bounded time; `undefined` says that nothing is known at the moment. */
  constructor(measure: () => Promise<ServiceMeasures | undefined>, clock: Clock) {
    this.#measure = measure;
    this.#clock = clock;
  }

  get newest(): ServiceMeasures | undefined {
    return this.#newest;
  }

  /** Looks from now on; again it changes nothing. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.#look();
  }

  stop(): void {
    this.#stop.abort();
  }

  async #look(): Promise<void> {
    for (const { signal } = this.#stop; !signal.aborted; ) {
      this.#newest = (await this.#measure()) ?? this.#newest;
      await this.#clock.sleep(EVERY_MS, signal);
    }
  }
}
