/**
 * Every bound that the fold sees. They are constants of the code, so part of its epoch: a server's own limits
 * never decide what an entry does.
 */

/** Largest event as published, and so the largest item of a batch. */
export const EVENT_MAX_BYTES = 512 * 1024;
/** Nesting of `data`; deeper JSON goes to quarantine. */
export const DATA_DEPTH_MAX = 64;
/** Length of `id` and of `source`, in UTF-16 units. */
export const ATTRIBUTE_MAX_CHARS = 512;
/** Events of one batch message. */
export const BATCH_MAX_EVENTS = 10_000;
/** Outputs of one handler call. */
export const UNIT_OUTPUTS_MAX = 1_000;
/** JSON text of one output's data, in UTF-16 units: at most 768 KiB as UTF-8, under every server's 1 MiB with its headers. */
export const OUTPUT_DATA_MAX_CHARS = 256 * 1024;
/** JSON text of all outputs of one handler call. */
export const UNIT_OUTPUT_MAX_CHARS = 4 * OUTPUT_DATA_MAX_CHARS;
/** A cell's slot, or one of its entries. */
export const CELL_MAX_BYTES = 256 * 1024;
/** Entries of one cell. */
export const CELL_ENTRIES_MAX = 100_000;
/** Timers of one actor. */
export const TIMERS_MAX = 10_000;
/** Length of a timer's id as a written token. */
export const TIMER_ID_MAX_BYTES = 256;
/** Calls of one actor that wait for their result. */
export const CALLS_MAX = 1_000;
/** … of which the last are kept for handlers: a challenger is asked only while fewer wait. */
export const SHADOW_CALLS_MAX = 500;
/** Input of one call as canonical JSON. */
export const CALL_INPUT_MAX_BYTES = 64 * 1024;
/** Inputs of all calls that one handler call asks for. */
export const UNIT_CALLS_MAX_BYTES = 1024 * 1024;
/** Events that one key holds back while a call that holds it waits. */
export const HELD_EVENTS_MAX = 1_000;
/** … and the bytes of their rows. */
export const HELD_MAX_BYTES = 1024 * 1024;
/** Results of one journal entry. */
export const RESULTS_MAX = 10_000;
/** JSON of a result that stands in its entry; a larger one stands beside the log, and its entry says which it is. */
export const RESULT_INLINE_MAX_BYTES = 64 * 1024;
/** JSON of a result that stands beside the log. */
export const RESULT_MAX_BYTES = 4 * 1024 * 1024;
/** … of all those of one entry. */
export const RESULTS_STORED_MAX_BYTES = 2 * RESULT_MAX_BYTES;
/** Code of a failed call, in UTF-16 units. */
export const FAILURE_CODE_MAX_CHARS = 64;
/** Name of a model, in UTF-16 units. */
export const MODEL_NAME_MAX_CHARS = 63;
/** JSON of an answer that the record of an inference repeats; of a larger one it has the hash alone. */
export const INFERENCE_RESULT_MAX_CHARS = 4 * 1024;
/** Length of an output's own idempotency key, in UTF-16 units. */
export const IDEMPOTENCY_KEY_MAX_CHARS = 512;
/** How much of an event a side output carries. */
export const EXCERPT_MAX_BYTES = 4 * 1024;
/** Message of an error in a dead letter. */
export const ERROR_TEXT_MAX_CHARS = 1_024;
/** One version of a reference record, as put. */
export const REFERENCE_ENTRY_MAX_BYTES = 64 * 1024;
/** Versions of one reference id. */
export const REFERENCE_VERSIONS_MAX = 1_000;
/** Subschemas of an activated schema with references followed, and names in its lists: what a part of an event may cost. */
export const SCHEMA_SIZE_MAX = 2_000;
/** Nesting of an activated schema with references followed. */
export const SCHEMA_DEPTH_MAX = 64;
/** Length of one pattern of an activated schema, in UTF-16 units. */
export const PATTERN_MAX_CHARS = 1_000;
/** Parts of all patterns of an activated schema, repetitions written out: what a character of an event may cost. */
export const PATTERN_SIZE_MAX = 2_000;
/** Reference versions that an output names. */
export const REFERENCE_NAMED_MAX = 16;
/** Every so many sequences the state hash is kept as a mark, for comparing replicas. */
export const MARK_EVERY_SEQUENCES = 65_536;
/** Marks a shard keeps. */
export const MARKS_KEPT = 64;

if (OUTPUT_DATA_MAX_CHARS * 3 + 64 * 1024 > 1024 * 1024) throw new Error("an output could be too large for a server's max_payload");
if (EVENT_MAX_BYTES > HELD_MAX_BYTES) throw new Error("an event could be too large to be held");
if (EXCERPT_MAX_BYTES * 6 > OUTPUT_DATA_MAX_CHARS) throw new Error("a side output could be over its own bound");
if (CALL_INPUT_MAX_BYTES + EXCERPT_MAX_BYTES * 6 > OUTPUT_DATA_MAX_CHARS)
  throw new Error("a dead letter with its call could be over the bound");
