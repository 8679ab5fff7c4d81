/** Bounds of masking and of looking through texts. What is longer or deeper is refused or cut, and says so. */

/** Levels of a value that is masked; what state may hold has no more. */
export const DEPTH_MAX = 64;
/** Values within a value that is masked, itself included. */
export const PARTS_MAX = 1_000_000;
/** Rules by class and by field, each. */
export const RULES_MAX = 256;
export const BIN_EDGES_MAX = 64;
export const SALT_MAX_CHARS = 256;
export const KEY_MIN_BYTES = 16;
export const KEY_MAX_BYTES = 1_024;

/** Hex digits of a hash: 128 bits. */
export const HASH_DIGITS = 32;
/** Hex digits of a token: 64 bits. Of a million values two share one with a chance of 1 in 37 million. */
export const TOKEN_DIGITS = 16;

/** Characters of a text that is looked through; behind them it is cut. */
export const TEXT_MAX_CHARS = 65_536;
/** Longest thing that is looked for, in characters: an address of 320 with its escapes. */
export const FIND_MAX_CHARS = 512;
/** Before a date, how far a word is looked for that makes it a date of birth. */
export const BIRTH_WORD_CHARS = 40;
/** Of a text in a prompt, unless the caller names another bound. */
export const PROMPT_CHARS = 4_096;
/** Below it there is no room for the mark of the cut. */
export const PROMPT_MIN_CHARS = 16;

if (PROMPT_CHARS > TEXT_MAX_CHARS) throw new RangeError("a prompt's text may not be longer than what is looked through");
if (FIND_MAX_CHARS * 4 > TEXT_MAX_CHARS) throw new RangeError("what is looked for must be short beside the text");
if (TOKEN_DIGITS > HASH_DIGITS || HASH_DIGITS > 64) throw new RangeError("SHA-256 has 64 hex digits");
