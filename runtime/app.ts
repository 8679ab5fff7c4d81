/**
 * Loading an app: its jobs, and the hash of its code as loaded.
 *
 * The hash covers every module of the app outside node_modules by content, every package by name and version, `imports` of each
 * package.json that its modules are read by, and nothing of the machine: paths are relative to the app's root. Tidemark's own model, fold and runtime are named by
 * the version of Tidemark instead.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { dirname, extname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { CodeIdentity } from "../actors/fold/meta.ts";
import { besideEachOther, type Job } from "../actors/model/job.ts";
import { type AppManifest, importLines, manifestsAbove } from "./app-manifests.ts";
import { TidemarkError } from "./errors.ts";
import { OWN_ROOT, packageRoot, TIDEMARK_VERSION } from "./own-package.ts";
import { isInPackage, PackageVersions } from "./package-versions.ts";
import { checkPumps } from "./pump/pump-places.ts";

export interface App {
  readonly jobs: readonly Job[];
  readonly codeHash: string;
  /** Every module of the app that was loaded, outside node_modules and Tidemark's own code. */
  readonly modules: readonly AppModule[];
  readonly source: AppSource;
}

/** Where a build comes from on this machine, and what it stands on. */
export interface AppSource {
  /** Absolute paths: of the app's module, and of the folder that its modules are named from. */
  readonly file: string;
  readonly root: string;
  /** `package <name> <version>` of each package that it stands on, sorted. */
  readonly packages: readonly string[];
  /** Names of those that its own modules import, Tidemark among them, sorted. */
  readonly imports: readonly string[];
  /** Of the package.json files that its modules are read by; folders from the root. */
  readonly manifests: readonly AppManifest[];
}

export interface AppModule {
  /** Absolute path. */
  readonly file: string;
  /** SHA-256 of its content as loaded, in hex; the empty text for a file that could not be read. */
  readonly hash: string;
}

const OWN_CODE = ["index.", "actors/model/", "actors/fold/", "runtime/", "inference/", "api/"];

/**
 * Imports the app's module. Throws APP_INVALID when it is no app. Call it once per thread, before anything else imports the app.
 * `onFile` is told of each file of the app before it is loaded, those included that are missing or do not parse.
 */
export async function loadApp(path: string, onFile: (file: string) => void = () => {}): Promise<App> {
  const file = resolve(path);
  if (!existsSync(file)) throw new TidemarkError("APP_INVALID", `There is no app file ${path}.`);
  const root = packageRoot(dirname(file));
  const packages = new PackageVersions();
  const modules: AppModule[] = [];
  const hooks = registerHooks({
    resolve(specifier, context, nextResolve) {
      try {
        const resolved = nextResolve(specifier, context);
        notePackage(packages, resolved.url, context.parentURL);
        return resolved;
      } catch (error) {
        if (specifier.startsWith(".") && context.parentURL?.startsWith("file:") === true)
          onFile(fileURLToPath(new URL(specifier, context.parentURL)));
        throw error;
      }
    },
    load(url, context, nextLoad) {
      const path = url.startsWith("file:") ? fileURLToPath(url) : undefined;
      if (path !== undefined && isOfApp(path)) onFile(path);
      const loaded = nextLoad(url, context);
      if (path !== undefined && isOfApp(path)) modules.push({ file: path, hash: hashOfSource(loaded.source ?? readFileSync(path)) });
      return loaded;
    },
  });
  let exported: unknown;
  try {
    exported = ((await import(pathToFileURL(file).href)) as { readonly default?: unknown }).default;
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
    throw new TidemarkError("APP_INVALID", `${path} cannot be loaded: ${why}.`, { cause: error });
  } finally {
    hooks.deregister();
  }
  const jobs = jobsOf(path, exported);
  checkPumps(path, jobs);
  const lines = packages.lines().sort();
  const named = modules.map(({ file, hash }) => ({ path: pathFrom(root, file), hash }));
  const manifests = manifestsAbove(modules.filter(({ file }) => existsSync(file)).map(({ file }) => file)).map(({ folder, text }) => ({
    folder: pathFrom(root, folder),
    text,
  }));
  const source = { file, root, packages: lines, imports: packages.imported(), manifests };
  return { jobs: besideEachOther(jobs), codeHash: codeHashOf(named, [...lines, ...importLines(manifests)]), modules, source };
}

/** What an epoch records of this process. */
export function identityOf(job: Job, codeHash: string): CodeIdentity {
  const { icu, tz } = process.versions;
  return {
    version: job.version,
    codeHash,
    settings: job.settings,
    tidemark: TIDEMARK_VERSION,
    node: process.versions.node,
    icu: icu ?? "none",
    tz: tz ?? "none",
  };
}

function jobsOf(path: string, exported: unknown): readonly Job[] {
  const given = (Array.isArray(exported) ? exported : [exported]) as readonly (Job | undefined)[];
  const jobs = given.flatMap((job) => [job, ...(job?.stages ?? [])]);
  const names = new Set<string>();
  const features = new Map<string, string>();
  for (const job of jobs) {
    if (job?.kind !== "job") throw new TidemarkError("APP_INVALID", `${path}: the default export must be a job or an array of jobs.`);
    if (names.has(job.name)) throw new TidemarkError("APP_INVALID", `${path}: two jobs are called "${job.name}".`);
    names.add(job.name);
    for (const { name } of job.features.values()) {
      const other = features.get(name);
      if (other !== undefined)
        throw new TidemarkError("APP_INVALID", `${path}: the feature "${name}" is put out by two jobs, "${other}" and "${job.name}".`);
      features.set(name, job.name);
    }
  }
  return jobs as readonly Job[];
}

/** Outside node_modules and Tidemark's own code. */
function isOfApp(file: string): boolean {
  const own = relative(OWN_ROOT, file).split(sep).join("/");
  return !isInPackage(file) && !OWN_CODE.some((folder) => own.startsWith(folder));
}

/** What one of the app's modules imports. */
function notePackage(packages: PackageVersions, url: string, parentUrl: string | undefined): void {
  if (!url.startsWith("file:") || parentUrl?.startsWith("file:") !== true || !isOfApp(fileURLToPath(parentUrl))) return;
  const file = fileURLToPath(url);
  if (isInPackage(file)) packages.addOf(file);
}

function hashOfSource(source: string | ArrayBufferLike | NodeJS.TypedArray): string {
  return createHash("sha256")
    .update(typeof source === "string" || ArrayBuffer.isView(source) ? source : new Uint8Array(source))
    .digest("hex");
}

/** `modules`: paths from the app's root. `others`: lines of its packages and manifests. */
export function codeHashOf(modules: readonly { readonly path: string; readonly hash: string }[], others: readonly string[]): string {
  const lines = modules.map(({ path, hash }) => `module ${path} ${hash}`);
  const hash = createHash("sha256");
  for (const line of [...lines, ...others].sort()) hash.update(`${line}\n`);
  return hash.digest("hex");
}

/** A module's path from the root, as the hash names it. */
export function pathFrom(root: string, file: string): string {
  return relative(root, file).split(sep).join("/");
}

/** Tidemark's own modules and folders of them that are there, as an app beside them would import them. */
export function ownCode(): readonly string[] {
  const names = OWN_CODE.map((name) => (name === "index." ? `index${extname(import.meta.url)}` : name.slice(0, -1)));
  return names.map((name) => join(OWN_ROOT, name)).filter((path) => existsSync(path));
}
