/**
 * What is kept of a build: the app's own modules, and the names and versions of all else that it is made of. Its blobs are
 * `builds/<code hash>/files/<sha256>`, one for each file, and `builds/<code hash>/manifest`, which is written last.
 *
 * The code hash in the name is made of exactly the modules and packages that the manifest names, so whoever reads a build
 * finds by it alone whether every byte is what once ran. What the hash does not name – which module is the app, which packages
 * are imported, where Tidemark's own code lies – may only choose among what it does name: all else is refused here, for the
 * manifest may lie where others can write.
 */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { codeHashOf, ownCode, pathFrom } from "../app.ts";
import { type AppManifest, importLines } from "../app-manifests.ts";
import { TidemarkError } from "../errors.ts";
import { PACKAGE_ROOT, SHIPPED_APP } from "../own-package.ts";

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
  readonly manifests: readonly AppManifest[];
  /** Where in the app's tree Tidemark's own code lies, when it lies there. */
  readonly ownCode: readonly string[];
  readonly packages: readonly string[];
  readonly imports: readonly string[];
}

const PREFIX = "builds/";
const HASH = /^[0-9a-f]{64}$/;
const PACKAGE = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-zA-Z0-9~_-][a-zA-Z0-9._~-]*$/;
/** Folders above the root in which a package.json may lie. */
const DEPTH_MAX = 32;

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
    [...build.packages, ...importLines(build.manifests)],
  );
  if (made !== codeHash) throw new TidemarkError("SNAPSHOT_DAMAGED", `${name} describes another build, ${made}.`);
  const stray = strayOf(build);
  if (stray !== undefined) throw new TidemarkError("SNAPSHOT_DAMAGED", `${name} names ${stray}, which its code hash does not cover.`);
  return build;
}

/** What would lead to code that is neither of the build, nor of its packages, nor Tidemark's own. */
function strayOf({ entry, files, manifests, imports, packages, ownCode: own }: KeptBuild): string | undefined {
  const paths = new Set(files.map(({ path }) => path));
  const covered = entry.own ? paths.size === 0 && isShipped(entry.path) : paths.has(entry.path);
  if (!covered) return `the app ${entry.path}`;
  const manifest = manifests.find(({ folder, text }) => !isAbove(folder, paths) || !isBare(text));
  if (manifest !== undefined) return `${manifest.folder}/package.json`;
  const shipped = new Set(ownCode().map((path) => pathFrom(PACKAGE_ROOT, path)));
  const ownPath = own.find((path) => !shipped.has(path));
  if (ownPath !== undefined) return `code of Tidemark's own at ${ownPath}`;
  const isNamed = (name: string): boolean => name === "tidemark" || packages.some((line) => line.startsWith(`package ${name} `));
  const strange = imports.find((name) => !PACKAGE.test(name) || !isNamed(name));
  return strange === undefined ? undefined : `the package ${strange}`;
}

/** A module that ships with jobs, from the package's root. */
function isShipped(path: string): boolean {
  const shipped = `${posix.dirname(pathFrom(PACKAGE_ROOT, SHIPPED_APP))}/`;
  return posix.normalize(path) === path && path.startsWith(shipped) && !path.includes("node_modules");
}

/** Of a file of the build, as its package.json is found. */
function isAbove(folder: string, files: ReadonlySet<string>): boolean {
  if (posix.join(folder, ".") !== (folder || ".")) return false;
  return [...files].some((path) => {
    for (let at = posix.dirname(path); ; at = posix.join(at, "..")) {
      if ((at === "." ? "" : at) === folder) return true;
      // Above the root there are as many folders as there are `..`.
      if (at.split("/").filter((part) => part === "..").length > DEPTH_MAX) return false;
    }
  });
}

/** No more than `type` and `imports`, of which the code hash covers the second. */
function isBare(text: string): boolean {
  const { type, imports } = JSON.parse(text) as Record<string, unknown>;
  return JSON.stringify({ type, imports }) === text && (type === undefined || type === "module" || type === "commonjs");
}

export function sha256Of(bytes: string | Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
