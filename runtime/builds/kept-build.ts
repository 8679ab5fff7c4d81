/**
 * What is kept of a build: the app's own modules, and the names and versions of all else that it is made of. Its blobs are
 * `builds/<code hash>/files/<sha256>`, one for each file, and `builds/<code hash>/manifest`, which is written last.
 *
 * The code hash in the name is made of exactly the modules and packages that the manifest names, so whoever reads a build
 * finds by it alone whether every byte is what once ran.
 */
import { createHash } from "node:crypto";
import { codeHashOf } from "../app.ts";
import { TidemarkError } from "../errors.ts";

export const BUILD_FORMAT = 1;

/** Of one build: what is larger is not kept, and said to be not. */
export const BUILD_FILES_MAX = 2_000;
export const BUILD_BYTES_MAX = 16 * 1024 * 1024;

export interface KeptFile {
  /** From the app's root, with `/`; may begin with `../`. */
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
}

export interface KeptBuild {
  readonly format: number;
  readonly codeHash: string;
  readonly keptAt: number;
  readonly profile: "development" | "production";
  readonly tidemark: string;
  readonly node: string;
  readonly jobs: readonly { readonly job: string; readonly version: number }[];
  /** Path of the app's module, as those of `files`; or of the module of Tidemark's own that is the app, from where that lies. */
  readonly entry: { readonly path: string; readonly own: boolean };
  readonly files: readonly KeptFile[];
  /** What decides how the files are read: `type` and `imports` of the package.json of each folder that has one. */
  readonly manifests: readonly { readonly folder: string; readonly text: string }[];
  /** Where in the app's tree Tidemark's own code lies, when it lies there. */
  readonly ownCode: readonly string[];
  readonly packages: readonly string[];
  readonly imports: readonly string[];
}

const PREFIX = "builds/";
const HASH = /^[0-9a-f]{64}$/;

export function isCodeHash(text: string): boolean {
  return HASH.test(text);
}

/** Of all builds, or of one. */
export function buildsPrefix(codeHash = ""): string {
  return `${PREFIX}${codeHash}`;
}

export function buildManifestBlob(codeHash: string): string {
  return `${PREFIX}${codeHash}/manifest`;
}

export function buildFileBlob(codeHash: string, sha256: string): string {
  return `${PREFIX}${codeHash}/files/${sha256}`;
}

/** A line with the SHA-256 of what follows it, then the JSON. */
export function writeKeptBuild(build: KeptBuild): Uint8Array {
  const text = JSON.stringify(build);
  return Buffer.from(`${sha256Of(text)}\n${text}\n`);
}

/** Throws SNAPSHOT_DAMAGED or SNAPSHOT_FORMAT. */
export function readKeptBuild(codeHash: string, bytes: Uint8Array): KeptBuild {
  const name = buildManifestBlob(codeHash);
  const text = Buffer.from(bytes).toString("utf8");
  const json = text.slice(65, -1);
  if (text[64] !== "\n" || !text.endsWith("\n") || sha256Of(json) !== text.slice(0, 64))
    throw new TidemarkError("SNAPSHOT_DAMAGED", `${name} is not what its checksum says.`);
  const build = JSON.parse(json) as KeptBuild;
  if (build.format !== BUILD_FORMAT)
    throw new TidemarkError("SNAPSHOT_FORMAT", `${name} has format ${build.format}, this Tidemark reads ${BUILD_FORMAT}.`);
  const made = codeHashOf(
    build.files.map(({ path, sha256 }) => ({ path, hash: sha256 })),
    build.packages,
  );
  if (made !== codeHash) throw new TidemarkError("SNAPSHOT_DAMAGED", `${name} describes another build, ${made}.`);
  return build;
}

export function sha256Of(bytes: string | Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
