/**
 * Snapshots in a directory: one file a blob, under the blob's name, so that any tool can copy them.
 *
 * A blob is written under `.partial/`, synced, renamed, and its folder synced: a file under its name is whole. What a dead
 * writer left in `.partial/` is no blob for anybody, and is cleared when the directory is opened. Several processes may use
 * one directory, also over a network file system that renames atomically.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { blobFailure } from "./blob-failure.ts";
import { BlobGate } from "./blob-gate.ts";
import { BLOB_MAX_BYTES, type BlobInfo, type BlobStore, byName, checkBlobName, checkBlobPrefix, checkBlobSize } from "./blob-store.ts";

const FILES_AT_A_TIME = 8;
/** Not a name of a blob: it begins with a dot. */
const PARTIAL = ".partial";
/** Far more than writing a blob takes. */
const PARTIAL_AFTER_MS = 60 * 60_000;
/** Folders may be deleted, as empty ones, while they are created and before the rename into them. */
const RENAME_TRIES = 32;

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: "The disk is full: free space, or keep snapshots for a shorter time.",
  EDQUOT: "The quota is used up: raise it, or keep snapshots for a shorter time.",
  EACCES: "Give the user that runs the node the right to read and write there.",
  EPERM: "Give the user that runs the node the right to read and write there.",
  EROFS: "The file system is mounted read-only: mount it for writing, or name another directory.",
  ENOTDIR: "A file stands where a folder must be: move it away.",
  EISDIR: "A folder stands where the blob's file must be: move it away.",
  EIO: "The disk fails: look at the system's log, and restore the directory from a copy.",
  EMFILE: "Too many files are open: raise the limit of open files.",
};

export class DirectoryBlobs implements BlobStore {
  readonly place: string;
  readonly #root: string;
  readonly #files = new BlobGate(FILES_AT_A_TIME);

  private constructor(root: string) {
    this.#root = root;
    this.place = `directory ${root}`;
  }

  /** Creates it when it is missing. */
  static async open(path: string, partialAfterMs = PARTIAL_AFTER_MS): Promise<DirectoryBlobs> {
    const blobs = new DirectoryBlobs(resolve(path));
    await blobs.#told("it cannot be opened", async () => {
      const made = await mkdir(join(blobs.#root, PARTIAL), { recursive: true });
      if (made !== undefined) await syncFolders(dirname(made), blobs.#root);
      await blobs.#clearPartial(partialAfterMs);
    });
    return blobs;
  }

  async #clearPartial(olderThanMs: number): Promise<void> {
    const folder = join(this.#root, PARTIAL);
    for (const name of await readdir(folder)) {
      const file = join(folder, name);
      const found = await unlessMissing(() => lstat(file));
      if (found !== undefined && Date.now() - found.mtimeMs >= olderThanMs) await rm(file, { recursive: true, force: true });
    }
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const file = this.#file(name);
    checkBlobSize(name, bytes.length);
    await this.#files.run(() => this.#told(`"${name}" cannot be written`, () => this.#write(file, bytes)));
  }

  async #write(file: string, bytes: Uint8Array): Promise<void> {
    const partial = join(this.#root, PARTIAL, `${process.pid}-${randomBytes(9).toString("hex")}`);
    try {
      await withFile(partial, "wx", async (handle) => {
        await handle.writeFile(bytes);
        await handle.sync();
      });
      await this.#moveInto(partial, file);
    } catch (error) {
      await rm(partial, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  async #moveInto(partial: string, file: string): Promise<void> {
    const folder = dirname(file);
    for (let attempt = 1; ; attempt++) {
      let made: string | undefined;
      try {
        made = await mkdir(folder, { recursive: true });
        await rename(partial, file);
      } catch (error) {
        if (codeOf(error) !== "ENOENT" || attempt === RENAME_TRIES) throw error;
        // When it is the partial file that went, somebody cleared it, and there is nothing to move.
        await stat(partial);
        continue;
      }
      // A folder that is gone by now was emptied by a delete of this very blob.
      await unlessMissing(() => syncFolders(made === undefined ? folder : dirname(made), folder));
      return;
    }
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    const file = this.#file(name);
    return await this.#files.run(() =>
      this.#told(`"${name}" cannot be read`, () =>
        unlessMissing(() =>
          withFile(file, "r", async (handle) => {
            const { size } = await handle.stat();
            if (size > BLOB_MAX_BYTES) throw new Error(`it has ${size} bytes`);
            return await readWhole(handle, size);
          }),
        ),
      ),
    );
  }

  async list(prefix: string): Promise<readonly BlobInfo[]> {
    checkBlobPrefix(prefix);
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    return await this.#told(`names that begin with "${prefix}" cannot be listed`, async () => {
      const found: BlobInfo[] = [];
      await this.#collect(folder, prefix, found);
      return found.sort(byName);
    });
  }

  async #collect(folder: string, prefix: string, found: BlobInfo[]): Promise<void> {
    const entries = await unlessMissing(() => readdir(join(this.#root, folder), { withFileTypes: true }));
    for (const entry of entries ?? []) {
      const name = folder + entry.name;
      if (!name.startsWith(prefix) || !isBlobName(name)) continue;
      if (entry.isDirectory()) await this.#collect(`${name}/`, prefix, found);
      else if (entry.isFile()) {
        const file = await unlessMissing(() => lstat(join(this.#root, name)));
        if (file !== undefined) found.push({ name, bytes: file.size });
      }
    }
  }

  /** With it the folders that become empty. */
  async delete(name: string): Promise<void> {
    const file = this.#file(name);
    await this.#told(`"${name}" cannot be deleted`, async () => {
      const gone = await unlessMissing(async () => {
        await rm(file);
        return true;
      });
      if (gone === undefined) return;
      let folder = dirname(file);
      for (; folder !== this.#root && (await removeEmpty(folder)); folder = dirname(folder));
      await unlessMissing(() => syncFolder(folder));
    });
  }

  async close(): Promise<void> {}

  #file(name: string): string {
    checkBlobName(name);
    return join(this.#root, name);
  }

  async #told<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw blobFailure(this.place, what, error, ADVICE[codeOf(error)]);
    }
  }
}

/** In one read where the system allows it; `readFile` takes many small ones. */
async function readWhole(handle: FileHandle, size: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(size);
  let length = 0;
  for (let read = -1; read !== 0 && length < size; length += read) {
    read = (await handle.read(bytes, length, size - length, length)).bytesRead;
  }
  return bytes.subarray(0, length);
}

function isBlobName(name: string): boolean {
  try {
    checkBlobName(name);
    return true;
  } catch {
    return false;
  }
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

/** `undefined` when there is no such file: none, a folder, or a file where a folder would be. */
async function unlessMissing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EISDIR", "ERR_FS_EISDIR"].includes(codeOf(error))) return undefined;
    throw error;
  }
}

async function withFile<T>(path: string, flags: string | number, work: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(path, flags, 0o600);
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}

async function removeEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    // Not empty, or just removed, or used, by another. A folder too much is no harm.
    if (codeOf(error) === "ENOENT") return true;
    return false;
  }
}

/** Syncs `last` and each folder above it up to `first`, so that new folders outlive a loss of power. */
async function syncFolders(first: string, last: string): Promise<void> {
  for (let folder = last; folder.length >= first.length; folder = dirname(folder)) {
    await syncFolder(folder);
    if (folder === dirname(folder)) return;
  }
}

async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders; its file systems keep renames in their own log.
  if (process.platform === "win32") return;
  await withFile(folder, constants.O_RDONLY | constants.O_DIRECTORY, (handle) => handle.sync());
}
