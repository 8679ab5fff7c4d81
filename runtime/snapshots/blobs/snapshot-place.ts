/** `TIDEMARK_SNAPSHOTS` as read: where snapshots lie. A plain record, so that it crosses threads. */

export type SnapshotPlace =
  | { readonly kind: "nats" }
  | { readonly kind: "directory"; readonly path: string }
  /** `prefix`: without slashes at its ends, may be empty. */
  | { readonly kind: "s3"; readonly bucket: string; readonly prefix: string };

const S3 = /^s3:\/\/([^/]+)(?:\/(.*))?$/;
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const PREFIX = /^([\w!*'()-][\w.!*'()-]{0,127}(\/[\w!*'()-][\w.!*'()-]{0,127})*)?$/;
/** S3 takes keys of 1,024 bytes, names of blobs take 512 of them. */
const PREFIX_MAX_CHARS = 256;

/** Throws a TypeError that says what to write. */
export function readSnapshotPlace(text: string): SnapshotPlace {
  if (text === "nats") return { kind: "nats" };
  if (text.startsWith("dir:")) {
    const path = text.slice("dir:".length);
    if (path === "" || path.includes("\0")) throw new TypeError("write the path of a directory behind dir:");
    return { kind: "directory", path };
  }
  const match = S3.exec(text);
  if (match === null) throw new TypeError("write nats, dir:<path> or s3://<bucket>/<prefix>");
  const bucket = match[1]!;
  const prefix = (match[2] ?? "").replace(/\/$/, "");
  if (!BUCKET.test(bucket)) throw new TypeError("an S3 bucket has 3 to 63 of a-z 0-9 . -");
  if (prefix.length > PREFIX_MAX_CHARS || !PREFIX.test(prefix)) {
    throw new TypeError(`a prefix has at most ${PREFIX_MAX_CHARS} of A-Z a-z 0-9 _ - . ! * ' ( ), parted by single slashes`);
  }
  return { kind: "s3", bucket, prefix };
}
