/** Reads the file of one secret, unless it is still the content that was read before. Never more of it than the bound. */
import type { BigIntStats } from "node:fs";
import { constants, type FileHandle, open } from "node:fs/promises";
import { SECRET_MAX_BYTES, SETTLED_MS } from "./bounds.ts";

export type SecretFile =
  | { readonly kind: "absent" | "same" }
  /** `mark` is "" when the same time of change need not mean the same content. */
  | { readonly kind: "read"; readonly text: string; readonly mark: string }
  | { readonly kind: "unreadable"; readonly reason: string };

/** `mark`: of the content that is known already; "" for none. `now`: milliseconds by the machine's clock. */
export async function readSecretFile(path: string, mark: string, now: number): Promise<SecretFile> {
  let file: FileHandle | undefined;
  try {
    // A pipe in its place would else wait for a writer.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = await file.stat({ bigint: true });
    if (!stats.isFile()) return { kind: "unreadable", reason: "it is no file" };
    const current = markOf(stats);
    if (current === mark) return { kind: "same" };
    const bytes = Buffer.alloc(SECRET_MAX_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      ({ bytesRead: read } = await file.read(bytes, length, bytes.length - length, length));
    if (length > SECRET_MAX_BYTES) return { kind: "unreadable", reason: `it has more than ${SECRET_MAX_BYTES} bytes` };
    // An editor, and `echo`, end it with a line end that is no part of it.
    const text = bytes.toString("utf8", 0, length).replace(/\r?\n$/, "");
    const settled = now - Number(stats.mtimeMs) > SETTLED_MS;
    return { kind: "read", text, mark: settled ? current : "" };
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return { kind: "absent" };
    if (code === "") throw error;
    return { kind: "unreadable", reason: code };
  } finally {
    await file?.close();
  }
}

/** Kubernetes puts another file in its place; others write into the one that is there. */
function markOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(".");
}
