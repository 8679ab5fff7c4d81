/** What guards that wait are given of the machine's clock. */
export interface GuardClock {
  /** Milliseconds by the machine's clock. */
  now(): number;
  /** Resolves early when `signal` is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}
