/**
 * The features of one shard, kept as long as its job is the one that sinks follow: a job, or the generation of it that
 * an operator switched to.
 */
import { FeatureSink, type FeatureSinkParts, type SinkReport } from "./feature-sink.ts";

const END_MS = 1_000;

export class FollowedFeatures {
  readonly #parts: FeatureSinkParts;
  #sink: FeatureSink | undefined;
  #run: Promise<void> = Promise.resolve();
  #over = false;

  constructor(parts: FeatureSinkParts) {
    this.#parts = parts;
  }

  /** The sink begins, or ends with what it has under way. */
  follow(followed: boolean): void {
    if (this.#over || followed === (this.#sink !== undefined)) return;
    if (!followed) {
      this.#sink?.stop();
      this.#sink = undefined;
      return;
    }
    const sink = new FeatureSink(this.#parts);
    this.#sink = sink;
    this.#run = this.#run.then(() => sink.run());
  }

  /** `undefined` while nothing is kept. */
  report(): SinkReport | undefined {
    return this.#sink?.report();
  }

  stop(): void {
    this.follow(false);
    this.#over = true;
  }

  /** Resolves when it has ended, or after a second: one that waits for NATS ends with the connection. */
  async ended(): Promise<void> {
    await Promise.race([this.#run, this.#parts.clock.sleep(END_MS)]);
  }
}
