/** Every bound of secrets. */

/** A file is looked at again at most so often, and only when its secret is used. */
export const LOOK_EVERY_MS = 1_000;
/** Of a file that was changed less than this before it was read, the same time of change need not mean the same content. */
export const SETTLED_MS = 2_000;
/** Bytes of a file: over what servers take in a header nothing of it could be sent. */
export const SECRET_MAX_BYTES = 8 * 1024;
/** Secrets that are kept in memory; another one takes the place of the one that was not used for longest. */
export const SECRETS_MAX = 256;
