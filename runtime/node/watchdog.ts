/**
 * Ends the process when a worker thread shows no sign of life. A thread inside a handler that never returns cannot be
 * interrupted, and `process.exit` would hang with it; SIGKILL does not.
 */
import type { Clock } from "../clock.ts";

const LOOK_MS = 500;

export interface Watched {
  readonly name: string;
  readonly heartbeat: SharedArrayBuffer;
}

/** Looks at the heartbeats until the returned function is called. `onHang` is not expected to return. */
export function watch(watched: readonly Watched[], clock: Clock, hangMs: number, onHang: (name: string) => void): () => void {
  const seen = watched.map(({ heartbeat }) => ({ beats: new Int32Array(heartbeat), last: -1, since: clock.monotonic() }));
  let looked = clock.monotonic();
  const timer = setInterval(() => {
    const now = clock.monotonic();
    // What this thread overslept, as with the whole process that was stopped, the others may have slept as well.
    const overslept = Math.max(0, now - looked - LOOK_MS);
    looked = now;
    seen.forEach((one, i) => {
      one.since += overslept;
      const count = Atomics.load(one.beats, 0);
      if (count !== one.last) {
        one.last = count;
        one.since = now;
      } else if (now - one.since >= hangMs) onHang(watched[i]!.name);
    });
  }, LOOK_MS);
  return () => clearInterval(timer);
}
