/**
 * Where snapshots lie: named blobs, written whole and never changed. Implemented by a directory, a JetStream object
 * store and S3; one contract test holds all of them.
 *
 * A blob is there whole or not at all, also when the writer dies. Nobody relies on an order among blobs: a manifest is
 * written when everything that it names was read back.
 */

/**
 * A name: path segments of `[a-z0-9._-]` of at most 200 chars, joined by `/`; no segment begins with a dot; at most 512 chars.
 * No name is a folder of another one (`a` and `a/b`): a directory could not hold both.
 */
export interface BlobStore {
  /** For messages: what it is and where. Never a secret. */
  readonly place: string;
  /** Replaces what stands under the name. Throws SNAPSHOT_STORE. */
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** `undefined` when there is none. Throws SNAPSHOT_STORE, also when the place itself tells that the blob is damaged. */
  get(name: string): Promise<Uint8Array | undefined>;
  /** Names and sizes of all blobs whose name begins with `prefix`, sorted by name. */
  list(prefix: string): Promise<readonly BlobInfo[]>;
  /** Deletes it; one that is not there is no error. */
  delete(name: string): Promise<void>;
  close(): Promise<void>;
}

export interface BlobInfo {
  readonly name: string;
  readonly bytes: number;
}

/** Largest blob: a chunk with its frame, or a manifest. */
export const BLOB_MAX_BYTES = 32 * 1024 * 1024;

const NAME_MAX_CHARS = 512;
/** File systems take 255 bytes. */
const NAME = /^[a-z0-9_-][a-z0-9._-]{0,199}(\/[a-z0-9_-][a-z0-9._-]{0,199})*$/;
const PREFIX = /^([a-z0-9_-][a-z0-9._-]{0,199}\/)*([a-z0-9_-][a-z0-9._-]{0,199})?$/;

/** A violation is a bug of the caller: names are made here, never taken from a request. */
export function checkBlobName(name: string): void {
  if (name.length > NAME_MAX_CHARS || !NAME.test(name)) throw new RangeError(`"${name}" is no name of a blob`);
}

/** What {@link BlobStore.list} takes: the beginning of a name, or nothing. */
export function checkBlobPrefix(prefix: string): void {
  if (prefix.length > NAME_MAX_CHARS || !PREFIX.test(prefix)) throw new RangeError(`"${prefix}" begins no name of a blob`);
}

export function checkBlobSize(name: string, bytes: number): void {
  if (bytes > BLOB_MAX_BYTES) throw new RangeError(`the blob ${name} has ${bytes} bytes, the most is ${BLOB_MAX_BYTES}`);
}

export function byName(a: BlobInfo, b: BlobInfo): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
