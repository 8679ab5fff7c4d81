/** Every bound of results that stand beside the log, and how they hang together. */
import { RESULT_MAX_BYTES, RESULTS_STORED_MAX_BYTES } from "../../actors/fold/bounds.ts";
import { BLOB_MAX_BYTES } from "../snapshots/blobs/blob-store.ts";

/** JSON of the results that a reader brings ahead; one entry may be as large. */
export const AHEAD_MAX_BYTES = RESULTS_STORED_MAX_BYTES;
/** Results that a writer remembers: the same output again needs no second blob. */
export const RECENT_MAX = 1_000;
/** So long after it was stored an entry may still name it; after that it is stored again, under another name. */
export const NAMED_WITHIN_MS = 60 * 60_000;
/** One that no entry names is left alone for so long: an entry may be on its way. */
export const YOUNG_MS = 6 * 60 * 60_000;
/** So long a shard doubts that a result is gone or damaged: a place that just comes back may answer so for a moment. */
export const DOUBT_MS = 10_000;
/** Pause between two tries to bring a result, doubled each time. */
export const RETRY_MS = 250;
export const RETRY_MAX_MS = 15_000;

/** What sealing adds. */
const SEAL_BYTES = 1_024;

if (RESULT_MAX_BYTES + SEAL_BYTES > BLOB_MAX_BYTES) throw new Error("a result could be too large for a blob");
// The rest is for clocks that go differently, and for an append that takes its time.
if (NAMED_WITHIN_MS * 4 > YOUNG_MS) throw new Error("a result could be cleared away before its entry is there");
