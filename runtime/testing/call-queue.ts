/**
 * The calls of a test, one after the other in the order in which they were made, and nothing asked in between: what
 * is read while a call is under way would be half folded.
 */
import { TidemarkError } from "../errors.ts";

/** Calls that may wait at once: more were never awaited. */
const WAITING_MAX = 100_000;

export class CallQueue {
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #closed = false;

  /** Throws TEST_STATE when closed or overrun; else gives what the call gives. */
  async add<T>(work: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    if (this.#waiting >= WAITING_MAX) throw new TidemarkError("TEST_STATE", `${WAITING_MAX} calls wait.`);
    this.#waiting++;
    const result = this.#tail.then(work).finally(() => {
      this.#waiting--;
    });
    this.#tail = result.catch(() => {});
    return await result;
  }

  /** Throws TEST_STATE when something cannot be read now. */
  check(): void {
    this.#checkOpen();
    if (this.#waiting > 0) throw new TidemarkError("TEST_STATE", "A call of this test is still under way.");
  }

  close(): void {
    this.#closed = true;
  }

  #checkOpen(): void {
    if (this.#closed) throw new TidemarkError("TEST_STATE", "This test of a job was closed.");
  }
}
