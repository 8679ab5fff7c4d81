/** Every bound of the caches of answers, and how they hang together. */
import { DIMENSIONS_MAX } from "../remote/bounds.ts";

/** Answers that are kept, of all models that share a cache. */
export const ENTRIES_MAX = 100_000;
/** … and their bytes. */
export const CACHE_MAX_BYTES = 64 * 1024 * 1024;
/** Bytes of an answer beside its text: its key, its place in the map, its numbers. */
export const ENTRY_OVERHEAD_BYTES = 256;
/** How long an answer is good for, when nothing else is said. */
export const TTL_DEFAULT_MS = 3_600_000;
/** Vectors of one semantic cache. */
export const VECTORS_MAX = 2_000;
/** Numbers of all of them: each is looked at, at about a nanosecond, and nothing else runs for those two milliseconds. */
export const VECTOR_NUMBERS_MAX = 2_000_000;
/** Cosine from which on two texts are taken for the same, when nothing else is said. */
export const THRESHOLD_DEFAULT = 0.97;

if (DIMENSIONS_MAX > VECTOR_NUMBERS_MAX) throw new Error("one vector could be over the bound of all");
if (ENTRY_OVERHEAD_BYTES > CACHE_MAX_BYTES) throw new Error("no answer could be kept");
