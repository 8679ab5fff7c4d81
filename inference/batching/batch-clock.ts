/** Time, as batching needs it: tests hand in their own. */

export interface BatchClock {
  /** Milliseconds by the machine's clock, as deadlines are. */
  now(): number;
  /** Calls once, `ms` from now; what is returned calls it off. */
  after(ms: number, call: () => void): () => void;
  /** Calls once, when what came from outside in the meantime has been taken in. */
  soon(call: () => void): void;
}

export const systemBatchClock: BatchClock = {
  now: () => Date.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
  soon(call) {
    setImmediate(call);
  },
};
