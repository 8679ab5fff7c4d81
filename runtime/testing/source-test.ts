/** What a test does with the source of a pump. */
import type { Stream } from "../../actors/model/stream.ts";
import { type EventOptions, type Instant, instantOf } from "./test-event.ts";
import type { TestSource } from "./test-source.ts";

/** The source of a pump of a job under test, made by `JobTest.from`. */
export class SourceTest {
  readonly #source: TestSource;
  readonly #call: <T>(work: () => Promise<T>) => Promise<T>;

  constructor(source: TestSource, call: <T>(work: () => Promise<T>) => Promise<T>) {
    this.#source = source;
    this.#call = call;
  }

  /**
   * Sends one event to the source, under its key there, and gives its position there. Returns when the pump has brought
   * it. Throws as `JobTest.send`, and TEST_INPUT for a stream that the pump does not take.
   */
  send<T>(stream: Stream<T>, key: string, data: NoInfer<T>, options: EventOptions = {}): Promise<string> {
    return this.#call(async () => {
      const { writer, clock } = this.#source;
      return await this.#source.append(writer.write(stream as Stream<unknown>, key, data, options, clock.now()));
    });
  }

  /** Says in every partition of the source that nothing older comes. */
  advanceWatermark(time: Instant): Promise<void> {
    return this.#call(() => this.#source.advanceWatermark(instantOf(time, "advanceWatermark")));
  }
}
