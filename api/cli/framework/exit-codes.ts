/** Exit codes that are neither 0, ok, nor 1, failed. */

/** The command line is not understood. */
export const USAGE = 2;
/** Ended by Ctrl-C: 128 and the number of SIGINT, as a shell says it. */
export const INTERRUPTED = 130;
