/** Every bound of the executor of effects, and how they hang together. */
import {
  CALL_INPUT_MAX_BYTES,
  ERROR_TEXT_MAX_CHARS,
  RESULT_INLINE_MAX_BYTES,
  RESULT_MAX_BYTES,
  RESULTS_MAX,
  RESULTS_STORED_MAX_BYTES,
} from "../../actors/fold/bounds.ts";

/** HTTP calls of one shard that are being made. */
export const HTTP_IN_FLIGHT_MAX = 64;
/** … and of those, to one origin. Of a job with P partitions an origin sees P times as many at the most. */
export const ORIGIN_IN_FLIGHT_MAX = 32;
/** Calls of one shard to models: many, for they are run in batches with those of other shards, and cost no connection. */
export const INFER_IN_FLIGHT_MAX = 1_024;
/** … and of those, to one model. */
export const INFER_MODEL_IN_FLIGHT_MAX = 512;
/** Calls of one shard to challengers, apart from those that somebody waits for. */
export const CHALLENGERS_IN_FLIGHT_MAX = 64;
/** Calls of one shard that no answer was appended for: with so many its log is read no further, until a tenth of them is answered. */
export const UNANSWERED_MAX = 100_000;
/** Calls that wait in memory to be made. Those behind them wait in their rows. */
export const FRESH_MAX = 1_000;
/** Characters of their inputs; what is read in one go may go over it. */
export const FRESH_MAX_CHARS = 8 * 1024 * 1024;
/** Calls that are read from the rows in one go. */
export const REFILL_CALLS = 128;
/** Results that wait to be appended; with so many no more calls are made. */
export const RESULTS_WAITING_MAX = 1_000;
/** Characters of what waits to be appended; the calls in flight may still add to it. */
export const RESULTS_WAITING_MAX_CHARS = 8 * 1024 * 1024;
/** JSON of the results of one entry, in bytes, without those that stand beside the log: under every server's 1 MiB. */
export const ENTRY_MAX_BYTES = 768 * 1024;
/** An answer over it counts as large: of these few are in memory at a time. */
export const LARGE_BYTES = 256 * 1024;
/** Large answers of one shard, from where they turn out to be large until their results are appended. Others wait on the wire. */
export const LARGE_MAX = 4;
/** What stands in the entry in place of a result beside the log. */
export const STORED_FRAME_BYTES = 256;
/** Results that were appended and that the fold has not come to yet. */
export const APPENDED_MAX = 100_000;
/** Body of a response, as it comes. */
export const RESPONSE_MAX_BYTES = RESULT_MAX_BYTES;
/** One output as JSON: numbers may be written longer than they came. */
export const OUTPUT_MAX_BYTES = RESULT_MAX_BYTES;
/** How often a call is tried. */
export const ATTEMPTS_MAX = 3;
/** Attempts by itself that a call may have begun in nodes that ended: with so many it fails. */
export const TRIALS_BEGUN_MAX = 2;
/** Pause before the second attempt, at most; doubled for each further one. */
export const BACKOFF_MS = 200;
/** Pause behind an append that failed, doubled for each further one. */
export const APPEND_BACKOFF_MS = 250;
export const APPEND_BACKOFF_MAX_MS = 5_000;
/** Pause between two tries to append the owner entry that a full log did not take. */
export const CLAIM_EVERY_MS = 1_000;

/** Id, hash and framing of one result, and the message of a failure. */
const RESULT_FRAME_BYTES = 1_024 + ERROR_TEXT_MAX_CHARS * 6;

if (OUTPUT_MAX_BYTES > RESULTS_STORED_MAX_BYTES) throw new Error("a result could be too large to be put back into its entry");
if (RESULT_INLINE_MAX_BYTES + RESULT_FRAME_BYTES > ENTRY_MAX_BYTES) throw new Error("a result could be too large for an entry of its own");
if (RESULTS_WAITING_MAX > RESULTS_MAX) throw new Error("what waits could be more than one entry takes");
if (FRESH_MAX_CHARS < CALL_INPUT_MAX_BYTES * REFILL_CALLS) throw new Error("what is read in one go could be far over the bound");
if (REFILL_CALLS > FRESH_MAX) throw new Error("nothing could be read");
if (INFER_MODEL_IN_FLIGHT_MAX > INFER_IN_FLIGHT_MAX) throw new Error("a model could have more than a shard");
if (ORIGIN_IN_FLIGHT_MAX > HTTP_IN_FLIGHT_MAX) throw new Error("an origin could have more than a shard");
