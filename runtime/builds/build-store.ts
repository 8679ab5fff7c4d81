/**
 * The builds that are kept beside the snapshots, by code hash. A build counts when its manifest does, which is written when
 * every file of it was read back. It is written once: the same hash is the same build.
 */
import type { App } from "../app.ts";
import type { Clock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { BlobStore } from "../snapshots/blobs/blob-store.ts";
import type { Seal } from "../snapshots/chunk-writer.ts";
import { appFiles } from "./app-files.ts";
import {
  buildFileBlob,
  buildManifestBlob,
  buildsPrefix,
  isCodeHash,
  type KeptBuild,
  readKeptBuild,
  sha256Of,
  writeKeptBuild,
} from "./kept-build.ts";

/** An edit is a build: in development only so many of them are kept, the newest. */
const DEVELOPMENT_MAX = 50;

export class BuildStore {
  readonly #blobs: BlobStore;
  readonly #seal: Seal;

  constructor(blobs: BlobStore, seal: Seal) {
    this.#blobs = blobs;
    this.#seal = seal;
  }

  /** Keeps the build unless it is kept. Throws APP_INVALID when it cannot be, SNAPSHOT_STORE, SNAPSHOT_DAMAGED or SNAPSHOT_KEY_MISSING. */
  async keep(app: App, profile: KeptBuild["profile"], clock: Clock): Promise<void> {
    const { codeHash } = app;
    // One that is damaged is written anew.
    const before = await this.get(codeHash).catch((error: unknown) => {
      if (!isTidemarkError(error, "SNAPSHOT_DAMAGED")) throw error;
      return undefined;
    });
    if (before !== undefined && (before.profile === "production" || profile === "development")) return;
    const { build, bytes } = appFiles(app, profile, clock.now());
    for (const [sha256, content] of bytes) {
      await this.#put(buildFileBlob(codeHash, sha256), content);
      await this.file(codeHash, sha256);
    }
    await this.#put(buildManifestBlob(codeHash), writeKeptBuild(build));
    await this.get(codeHash);
    if (profile === "development") await this.#forget();
  }

  /** `undefined` when it is not kept. Throws SNAPSHOT_STORE, SNAPSHOT_DAMAGED, SNAPSHOT_FORMAT or SNAPSHOT_KEY_MISSING. */
  async get(codeHash: string): Promise<KeptBuild | undefined> {
    const name = buildManifestBlob(codeHash);
    const sealed = await this.#blobs.get(name);
    return sealed === undefined ? undefined : readKeptBuild(codeHash, this.#seal.open(sealed, name));
  }

  /** Throws SNAPSHOT_MISSING, SNAPSHOT_DAMAGED, SNAPSHOT_STORE or SNAPSHOT_KEY_MISSING. */
  async file(codeHash: string, sha256: string): Promise<Uint8Array> {
    const name = buildFileBlob(codeHash, sha256);
    const sealed = await this.#blobs.get(name);
    if (sealed === undefined) throw new TidemarkError("SNAPSHOT_MISSING", `${this.#blobs.place} has no ${name}.`);
    const bytes = this.#seal.open(sealed, name);
    if (sha256Of(bytes) !== sha256) throw new TidemarkError("SNAPSHOT_DAMAGED", `${name} is not what its name says.`);
    return bytes;
  }

  /** The code hashes of all, or of those that begin with `start`. */
  async hashes(start = ""): Promise<readonly string[]> {
    const found = await this.#blobs.list(buildsPrefix(start));
    const hashes = found.flatMap(({ name }) => (name.endsWith("/manifest") ? [name.split("/")[1]!] : []));
    return hashes.filter(isCodeHash);
  }

  /** The newest first. Those that cannot be read are told to `damaged`. */
  async list(damaged: (codeHash: string, error: Error) => void): Promise<readonly KeptBuild[]> {
    const builds: KeptBuild[] = [];
    for (const codeHash of await this.hashes()) {
      try {
        const build = await this.get(codeHash);
        if (build !== undefined) builds.push(build);
      } catch (error) {
        if (!isTidemarkError(error) || error.code === "SNAPSHOT_STORE") throw error;
        damaged(codeHash, error);
      }
    }
    return builds.sort((a, b) => b.keptAt - a.keptAt);
  }

  async close(): Promise<void> {
    await this.#blobs.close();
  }

  async #put(name: string, bytes: Uint8Array): Promise<void> {
    await this.#blobs.put(name, this.#seal.seal(bytes, name));
  }

  async #forget(): Promise<void> {
    if ((await this.hashes()).length <= DEVELOPMENT_MAX) return;
    const made = (await this.list(() => {})).filter(({ profile }) => profile === "development");
    for (const { codeHash } of made.slice(DEVELOPMENT_MAX)) {
      // The manifest first: what is left of one that is half gone is found by nobody.
      await this.#blobs.delete(buildManifestBlob(codeHash));
      for (const { name } of await this.#blobs.list(`${buildsPrefix(codeHash)}/`)) await this.#blobs.delete(name);
    }
  }
}
