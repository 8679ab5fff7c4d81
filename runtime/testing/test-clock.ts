/**
 * The clock of a test. `now` is the time that the log gives to what is appended; only the test moves it, and it never
 * falls. Waiting takes no time on it: what the shard waits for inside is another matter than the job's time.
 */
import type { Clock } from "../clock.ts";

export class TestClock implements Clock {
  #now: number;
  #waited = 0;

  constructor(start: number) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now + this.#waited;
  }

  async sleep(ms: number): Promise<void> {
    this.#waited += ms;
  }

  /** Lets time pass for the shard's own rules, such as the age of a commit group. No job sees it. */
  wait(ms: number): void {
    this.#waited += ms;
  }

  moveTo(time: number): void {
    if (time > this.#now) this.#now = time;
  }
}
