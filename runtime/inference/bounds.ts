/** Every bound of the supervision of a node's inference process, and how they hang together. Milliseconds. */
import { ALIVE_EVERY_MS } from "../../inference/service/bounds.ts";

/** Pause before the second start in a row, doubled for each further one. The first is at once. */
export const RESTART_MS = 100;
export const RESTART_MAX_MS = 10_000;
/** A process that ran for so long starts at once again when it ends. */
export const QUIET_MS = 60_000;
export const LOOK_MS = 250;
/** Without a sign of life for so long it is stuck. */
export const STUCK_MS = 30_000;
/** The same before it has said that it is ready: all of its code is read from the disk then. */
export const STARTING_MS = 60_000;
export const MEASURE_WITHIN_MS = 2_000;
/** In which it has to end when it is asked to. */
export const KILL_AFTER_MS = 5_000;
/** What fits into the address of a socket everywhere, its end included. */
export const SOCKET_PATH_MAX_BYTES = 100;

if (STUCK_MS < 10 * Math.max(ALIVE_EVERY_MS, LOOK_MS)) throw new Error("a process that is well could be taken for stuck");
if (STARTING_MS < STUCK_MS) throw new Error("a process that starts would have less time than one that runs");
if (RESTART_MAX_MS > QUIET_MS) throw new Error("a pause could be longer than the time that ends it");

/** How often a version of a model is looked for while its registry or the place of its content is away, and the pause between, in milliseconds. */
export const FINDS_MAX = 90;
export const FIND_PAUSE_MS = 1_000;
