/**
 * Contents of models, by their SHA-256: kept in pieces beside the snapshots and the builds, and on a node as files that
 * were checked when they came. A piece may be missing when its writer died: the registry names a content only when all
 * of it was read back.
 *
 * A file is a copy that can be fetched again. When there are too many of them, those go that were not used for longest,
 * by the time of change of each, which is the time of its last use; none goes that this process has handed out.
 */
import { createHash } from "node:crypto";
import { createReadStream, rmSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { CONTENT_MAX_BYTES } from "../../inference/onnx/bounds.ts";
import { systemClock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { Seal } from "../snapshots/chunk-writer.ts";
import type { BlobPlace } from "../snapshots/open-catalogue.ts";

const PIECE_BYTES = 8 * 1024 * 1024;
/** Of a file that is on its way. */
const PART = ".part";
const FILE = ".model";
/** Of a node's files, those apart that it has handed out: room for the newest versions of its models. */
const FILES_MAX_BYTES = 4 * 1024 * 1024 * 1024;
/** What was used less than this ago may be in use by a replay beside the node. */
const IN_USE_MS = 600_000;

if (FILES_MAX_BYTES < CONTENT_MAX_BYTES) throw new Error("a node could not keep the file of one model");

export interface FileLimits {
  readonly filesMaxBytes?: number;
  readonly inUseMs?: number;
}

export class ModelContents {
  readonly #folder: string;
  readonly #open: () => Promise<BlobPlace>;
  /** Those that are being fetched, by hash: asked for by two, one comes. */
  readonly #coming = new Map<string, Promise<string>>();
  /** Hashes of those that were asked for in the life of this process: a model may be open from them. As many as are registered. */
  readonly #handedOut = new Set<string>();
  readonly #limits: Required<FileLimits>;
  #folderReady: Promise<void> | undefined;
  #parts = 0;

  /** `folder`: where the node keeps files. `open`: the place beside the snapshots, asked for when something is not in the folder. */
  constructor(folder: string, open: () => Promise<BlobPlace>, limits: FileLimits = {}) {
    this.#folder = folder;
    this.#open = open;
    this.#limits = { filesMaxBytes: FILES_MAX_BYTES, inUseMs: IN_USE_MS, ...limits };
  }

  /** Keeps a content. Gives its hash. Throws MODEL_INVALID when it is empty or too large, MODEL_CONTENT when it came back otherwise, SNAPSHOT_STORE. */
  async put(content: Uint8Array): Promise<string> {
    if (content.length === 0) throw new TidemarkError("MODEL_INVALID", "The content of the model is empty.");
    if (content.length > CONTENT_MAX_BYTES)
      throw new TidemarkError("MODEL_INVALID", `The content of the model has ${content.length} bytes, at most ${CONTENT_MAX_BYTES}.`);
    const sha256 = createHash("sha256").update(content).digest("hex");
    const { blobs, seal } = await this.#open();
    for (let piece = 0; piece * PIECE_BYTES < content.length; piece++) {
      const name = pieceName(sha256, piece);
      const bytes = content.subarray(piece * PIECE_BYTES, (piece + 1) * PIECE_BYTES);
      await blobs.put(name, seal.seal(bytes, name));
    }
    await this.#fetch(sha256, content.length);
    return sha256;
  }

  /** Whether every piece of a content is kept; what is in them was read back when they were put. Throws SNAPSHOT_STORE. */
  async has(sha256: string, bytes: number): Promise<boolean> {
    const { blobs } = await this.#open();
    const kept = new Set((await blobs.list(`models/${sha256}/`)).map(({ name }) => name));
    for (let piece = 0; piece * PIECE_BYTES < bytes; piece++) if (!kept.has(pieceName(sha256, piece))) return false;
    return true;
  }

  /** The file of a content, fetched when it is not there. Throws MODEL_CONTENT when it is nowhere or is damaged, SNAPSHOT_STORE. */
  path(sha256: string, bytes: number): Promise<string> {
    this.#handedOut.add(sha256);
    let coming = this.#coming.get(sha256);
    if (coming === undefined) {
      coming = this.#local(sha256, bytes).finally(() => this.#coming.delete(sha256));
      this.#coming.set(sha256, coming);
    }
    return coming;
  }

  async #local(sha256: string, bytes: number): Promise<string> {
    const path = this.#pathOf(sha256);
    const found = await stat(path).catch(() => undefined);
    // Not what it was when it came: on its disk something went wrong.
    if (found?.size === bytes && (await hashOfFile(path)) === sha256) {
      const now = systemClock.now() / 1000;
      // Without it the file goes sooner than it should, and is fetched again.
      await utimes(path, now, now).catch(() => {});
      return path;
    }
    return await this.#fetch(sha256, bytes);
  }

  async #fetch(sha256: string, bytes: number): Promise<string> {
    const { blobs, seal } = await this.#open();
    await this.#readyFolder();
    const path = this.#pathOf(sha256);
    // Of its own: the same content may be put and asked for at the same time.
    const part = `${path}.${++this.#parts}${PART}`;
    const file = await open(part, "w");
    const hash = createHash("sha256");
    try {
      for (let piece = 0, have = 0; have < bytes; piece++) {
        const name = pieceName(sha256, piece);
        const sealed = await blobs.get(name);
        if (sealed === undefined) throw new TidemarkError("MODEL_CONTENT", `${blobs.place} has no ${name}.`);
        const content = opened(seal, sealed, name);
        if (content.length === 0) throw new TidemarkError("MODEL_CONTENT", `${name} is empty.`);
        have += content.length;
        hash.update(content);
        await file.writeFile(content);
      }
      if (hash.digest("hex") !== sha256) throw new TidemarkError("MODEL_CONTENT", `The content ${sha256} is damaged at ${blobs.place}.`);
      await file.sync();
      await file.close();
      await rename(part, path);
    } catch (error) {
      await file.close().catch(() => {});
      await rm(part, { force: true });
      throw error;
    }
    await this.#makeRoom();
    return path;
  }

  /** Deletes what was not used for longest until the rest is within the bound. What cannot be deleted is tried again with the next that comes. */
  async #makeRoom(): Promise<void> {
    const { filesMaxBytes, inUseMs } = this.#limits;
    const files: { readonly path: string; readonly sha256: string; readonly bytes: number; readonly usedAt: number }[] = [];
    for (const name of await readdir(this.#folder)) {
      if (!name.endsWith(FILE)) continue;
      const path = join(this.#folder, name);
      const found = await stat(path).catch(() => undefined);
      if (found !== undefined) files.push({ path, sha256: name.slice(0, -FILE.length), bytes: found.size, usedAt: found.mtimeMs });
    }
    let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    for (const file of files.sort((a, b) => a.usedAt - b.usedAt)) {
      if (bytes <= filesMaxBytes || systemClock.now() - file.usedAt < inUseMs) return;
      if (this.#handedOut.has(file.sha256)) continue;
      try {
        // At once, so that nobody is handed it meanwhile.
        rmSync(file.path, { force: true });
        bytes -= file.bytes;
      } catch {
        // Its folder is not to be changed at this moment; what was fetched is there all the same.
      }
    }
  }

  /** Created, and cleared of what an earlier process left half done: a data directory has one process. */
  #readyFolder(): Promise<void> {
    this.#folderReady ??= this.#clearFolder().catch((error: unknown) => {
      this.#folderReady = undefined;
      throw error;
    });
    return this.#folderReady;
  }

  async #clearFolder(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    for (const name of await readdir(this.#folder)) if (name.endsWith(PART)) await rm(join(this.#folder, name), { force: true });
  }

  #pathOf(sha256: string): string {
    return join(this.#folder, `${sha256}${FILE}`);
  }
}

async function hashOfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

function opened(seal: Seal, sealed: Uint8Array, name: string): Uint8Array {
  try {
    return seal.open(sealed, name);
  } catch (error) {
    if (!isTidemarkError(error, "SNAPSHOT_DAMAGED")) throw error;
    throw new TidemarkError("MODEL_CONTENT", `${name} is damaged: ${error.detail}`, { cause: error });
  }
}

function pieceName(sha256: string, piece: number): string {
  return `models/${sha256}/${String(piece).padStart(4, "0")}`;
}
