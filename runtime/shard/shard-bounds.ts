/** What one shard may do at once, and what it may keep in memory before it commits. */

export const STEP_ENTRIES = 512;
/** Units of one step: a batch or a storm of timers is folded in several, so that the thread answers in between. */
export const STEP_UNITS = 2_048;
export const GROUP_ROWS = 50_000;
/** What handlers may keep between two seals. */
export const GROUP_BYTES = 64 * 1024 * 1024;
export const GROUP_MS = 500;
/** Entries without a changed row after which the position alone is worth a commit, while others wait. */
export const POSITION_ENTRIES = 1_000;
/** Numbered outputs are handed on in the middle of a step when there are so many, or so many bytes. */
export const PENDING_OUTPUTS = 256;
export const PENDING_BYTES = 1024 * 1024;
