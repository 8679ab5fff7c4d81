/**
 * A kept build put up on this machine, so that `loadApp` of it gives exactly its code hash: its files under
 * `<data dir>/builds/<hash>/`, its imports of packages led to what is installed here in the versions that it names.
 *
 * Nothing of it is run here, and nothing is given out before the files that lie there were read against the hash. What is not
 * what its hashes say, or stands on something else than is installed, is refused.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { PACKAGE_ROOT, TIDEMARK_VERSION } from "../own-package.ts";
import { installedFor, PackageVersions } from "../package-versions.ts";
import type { BuildStore } from "./build-store.ts";
import { type KeptBuild, sha256Of } from "./kept-build.ts";

/** Stands in the place of each folder above the app's root that its modules reach. */
const ABOVE = "above";
const ROOT = "app";

/**
 * Gives the path of its app. `from`: an app of this machine, whose installed packages it uses; those of Tidemark stand in.
 * Throws CODE_UNAVAILABLE with what is missing, or what the store throws.
 */
export async function unpackBuild(store: BuildStore, codeHash: string, dataDir: string, from: string): Promise<string> {
  const build = await store.get(codeHash);
  if (build === undefined) throw unavailable(codeHash, "is not kept beside the snapshots");
  const installed = packagesFor(build, from);
  if (build.entry.own) return join(PACKAGE_ROOT, build.entry.path);
  const folder = join(dataDir, "builds", codeHash);
  const app = (): string => join(realpathSync(folder), rootOf(build), build.entry.path);
  if (isWhole(build, folder, installed)) return app();
  const partial = join(dataDir, "builds", `${codeHash}.${process.pid}-${randomBytes(6).toString("hex")}`);
  mkdirSync(partial, { recursive: true });
  try {
    await writeBuild(store, build, partial, installed);
    if (!isWhole(build, partial, installed)) throw unavailable(codeHash, "could not be put up as its code hash says");
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    // Another was faster, and put up the same.
    if (isTidemarkError(error) || !isWhole(build, folder, installed)) throw error;
  }
  return app();
}

/** Every file of it is there and is what it was, in the tree, and every link leads to where it has to. */
function isWhole(build: KeptBuild, folder: string, installed: ReadonlyMap<string, string>): boolean {
  const root = join(folder, rootOf(build));
  const holds = (file: string, sha256: string): boolean =>
    existsSync(file) && isInside(realpathSync(folder), realpathSync(file)) && sha256Of(readFileSync(file)) === sha256;
  return (
    build.files.every(({ path, sha256 }) => holds(join(root, path), sha256)) &&
    build.manifests.every(({ folder: at, text }) => holds(join(root, at, "package.json"), sha256Of(text))) &&
    linksOf(build, folder, installed).every(({ from, to }) => existsSync(from) && realpathSync(from) === realpathSync(to))
  );
}

/** To Tidemark's own code, where that lies in the app's tree, and to packages. */
function linksOf(
  build: KeptBuild,
  folder: string,
  installed: ReadonlyMap<string, string>,
): { readonly from: string; readonly to: string }[] {
  const own = build.ownCode.map((path) => ({ from: join(folder, rootOf(build), path), to: join(PACKAGE_ROOT, path) }));
  return [...own, ...[...installed].map(([name, to]) => ({ from: join(folder, "node_modules", name), to }))];
}

/** Where each imported package lies here. Throws CODE_UNAVAILABLE when any that the build stands on differs. */
function packagesFor(build: KeptBuild, from: string): ReadonlyMap<string, string> {
  const { codeHash, tidemark } = build;
  if (tidemark !== TIDEMARK_VERSION) throw unavailable(codeHash, `needs Tidemark ${tidemark}, this is ${TIDEMARK_VERSION}`);
  const places = new Map<string, string>();
  const versions = new PackageVersions();
  for (const name of build.imports) {
    const place = name === "tidemark" ? PACKAGE_ROOT : (installedFor(dirname(from), name) ?? installedFor(PACKAGE_ROOT, name));
    if (place === undefined) throw unavailable(codeHash, `needs ${wanted(build, name)}, which is not installed`);
    places.set(name, realpathSync(place));
    if (name !== "tidemark") versions.addOf(join(realpathSync(place), "package.json"));
  }
  const here = new Set(versions.lines());
  const missing = build.packages.filter((line) => !here.has(line));
  if (missing.length === 0) return places;
  const [first] = missing;
  const [, name = ""] = first!.split(" ");
  const other = [...here].filter((line) => line.startsWith(`package ${name} `)).map((line) => line.split(" ")[2]);
  const installed = other.length === 0 ? "which is not installed" : `installed is ${other.join(", ")}`;
  throw unavailable(codeHash, `needs ${missing.map((line) => line.split(" ").slice(1).join(" ")).join(", ")}; ${installed}`);
}

async function writeBuild(store: BuildStore, build: KeptBuild, folder: string, installed: ReadonlyMap<string, string>): Promise<void> {
  const root = join(folder, rootOf(build));
  // Stops the search for a package.json: none above belongs to it.
  write(join(folder, "package.json"), "{}");
  write(join(root, "package.json"), "{}");
  for (const { folder: at, text } of build.manifests) {
    const file = join(root, at, "package.json");
    if (!isInside(folder, file)) throw unavailable(build.codeHash, `has a file ${at}/package.json, outside of its tree`);
    write(file, text);
  }
  for (const { path, sha256 } of build.files) {
    const file = join(root, path);
    if (!isInside(folder, file)) throw unavailable(build.codeHash, `has a file ${path}, outside of its tree`);
    write(file, await store.file(build.codeHash, sha256));
  }
  for (const { from, to } of linksOf(build, folder, installed)) {
    if (!isInside(folder, from)) throw unavailable(build.codeHash, `has a link ${from}, outside of its tree`);
    link(to, from);
  }
}

/** The root lies so deep that every path of the build stays in its tree. */
function rootOf({ files, manifests }: KeptBuild): string {
  const paths = [...files.map(({ path }) => path), ...manifests.map(({ folder }) => folder)];
  const depths = paths.map(
    (path) =>
      posix
        .normalize(path)
        .split("/")
        .filter((part) => part === "..").length,
  );
  return [...Array.from({ length: Math.max(0, ...depths) }, () => ABOVE), ROOT].join("/");
}

function write(file: string, content: string | Uint8Array): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

function link(to: string, from: string): void {
  mkdirSync(dirname(from), { recursive: true });
  symlinkSync(to, from, "junction");
}

function isInside(folder: string, file: string): boolean {
  return !relative(folder, file).startsWith("..");
}

function wanted({ packages }: KeptBuild, name: string): string {
  const line = packages.find((candidate) => candidate.startsWith(`package ${name} `));
  return line === undefined ? name : line.split(" ").slice(1).join(" ");
}

function unavailable(codeHash: string, why: string): TidemarkError {
  return new TidemarkError("CODE_UNAVAILABLE", `The build ${codeHash.slice(0, 12)} ${why}.`);
}
