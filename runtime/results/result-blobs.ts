/**
 * The large results of one partition's journals: blobs `results/<stream>/<at>-<sha256>`, sealed as snapshots are.
 *
 * A blob is there, read back, before the entry that names it is appended. `at`, when it was stored, parts it from every other
 * one with the same content: so an old one can be cleared away without asking whether somebody is just about to use it.
 */
import { createHash } from "node:crypto";
import { RESULT_MAX_BYTES } from "../../actors/fold/bounds.ts";
import type { StoredOutput } from "../../actors/fold/stored-results.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { BlobDamage } from "../snapshots/blobs/blob-failure.ts";
import type { BlobPlace } from "../snapshots/open-catalogue.ts";
import { NAMED_WITHIN_MS, RECENT_MAX } from "./bounds.ts";

const NAME = /^(?<at>\d{1,16})-[0-9a-f]{64}$/;

export class ResultBlobs {
  readonly #stream: string;
  readonly #open: () => Promise<BlobPlace>;
  readonly #now: () => number;
  /** What was stored last, by hash; the oldest first. */
  readonly #recent = new Map<string, StoredOutput>();

  /** `stream`: of the log's partition. `open`: the place, asked for with the first result. `now`: milliseconds. */
  constructor(stream: string, open: () => Promise<BlobPlace>, now: () => number) {
    this.#stream = stream;
    this.#open = open;
    this.#now = now;
  }

  /** Stores a result's JSON. Throws SNAPSHOT_STORE, or what opening the place throws. */
  async put(json: string): Promise<StoredOutput> {
    const content = Buffer.from(json);
    if (content.length > RESULT_MAX_BYTES) throw new RangeError(`a result has at most ${RESULT_MAX_BYTES} bytes, not ${content.length}`);
    const sha256 = sha256Of(content);
    const at = this.#now();
    const recent = this.#recent.get(sha256);
    if (recent !== undefined && Math.abs(at - recent.at) < NAMED_WITHIN_MS) return recent;
    const stored = { sha256, bytes: content.length, at };
    const { blobs, seal } = await this.#open();
    const name = resultBlob(this.#stream, stored);
    await blobs.put(name, seal.seal(content, name));
    try {
      await this.get(stored);
    } catch (error) {
      if (!isTidemarkError(error, "RESULT_CONTENT")) throw error;
      throw new TidemarkError("SNAPSHOT_STORE", `${blobs.place}: ${name} did not come back as it was put.`, { cause: error });
    }
    this.#remember(stored);
    return stored;
  }

  /** A result's JSON. Throws RESULT_CONTENT when it is gone or not what the entry says, SNAPSHOT_KEY_MISSING, SNAPSHOT_STORE. */
  async get(stored: StoredOutput): Promise<string> {
    const { blobs, seal } = await this.#open();
    const name = resultBlob(this.#stream, stored);
    const content = await contentOf(blobs.place, name, async () => {
      const sealed = await blobs.get(name);
      return sealed === undefined ? undefined : seal.open(sealed, name);
    });
    if (content === undefined) throw new TidemarkError("RESULT_CONTENT", `${blobs.place} has no ${name}.`);
    if (content.length !== stored.bytes || sha256Of(content) !== stored.sha256)
      throw new TidemarkError("RESULT_CONTENT", `${blobs.place}: ${name} has another content than its entry says.`);
    return Buffer.from(content.buffer, content.byteOffset, content.length).toString();
  }

  #remember(stored: StoredOutput): void {
    this.#recent.delete(stored.sha256);
    this.#recent.set(stored.sha256, stored);
    if (this.#recent.size > RECENT_MAX) this.#recent.delete(this.#recent.keys().next().value!);
  }
}

/** Name of the blob of a result of a partition. */
export function resultBlob(stream: string, { at, sha256 }: Pick<StoredOutput, "at" | "sha256">): string {
  return `${resultsPrefix(stream)}${at}-${sha256}`;
}

/** Beginning of the names of all of a partition. A stream's name ends with a number, so no job's snapshots lie there. */
export function resultsPrefix(stream: string): string {
  return `results/${stream}/`;
}

/** When a blob of a partition was stored, in milliseconds; `undefined` when it is no result's. */
export function storedAt(stream: string, name: string): number | undefined {
  const at = NAME.exec(name.slice(resultsPrefix(stream).length))?.groups?.at;
  return at === undefined ? undefined : Number(at);
}

/** What the place, or the seal, tells to be damaged. */
async function contentOf(place: string, name: string, read: () => Promise<Uint8Array | undefined>): Promise<Uint8Array | undefined> {
  try {
    return await read();
  } catch (error) {
    const isDamage = isTidemarkError(error, "SNAPSHOT_DAMAGED") || (isTidemarkError(error) && error.cause instanceof BlobDamage);
    if (!isDamage) throw error;
    throw new TidemarkError("RESULT_CONTENT", `${place}: ${name} is damaged: ${(error as TidemarkError).detail}`, { cause: error });
  }
}

function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
