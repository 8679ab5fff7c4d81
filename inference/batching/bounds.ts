/** Bounds of batching, and how they hang together. */

/** Inputs of one model that wait for a run; each is as large as a call's input may be. */
export const WAITING_MAX = 4_096;
/** Milliseconds that an input may be kept waiting for others. */
export const WAIT_MAX_MS = 1_000;
/** Calls of one model at a time: as many places as may be set for one, and those of who ask over the API. */
export const CONCURRENCY_MAX = 10_064;
/** Deadlines are looked at this often at the most: an answer TIMEOUT comes so much later, never earlier. */
export const DEADLINE_EVERY_MS = 5;
/** Whoever calls an input off may do so as much before its deadline; that was still the deadline. */
export const DEADLINE_SLACK_MS = 10;

if (DEADLINE_EVERY_MS > WAIT_MAX_MS) throw new Error("an input could wait longer than its deadline is looked at");
