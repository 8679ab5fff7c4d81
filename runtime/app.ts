/**
 * Loading an app: its jobs, and the hash of its code as loaded.
 *
 * The hash covers every module of the app outside node_modules by content, every package by name and version, and
 * nothing of the machine: paths are relative to the app's root. Tidemark's own model, fold and runtime are named by
 * the version of Tidemark instead.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { CodeIdentity } from "../actors/fold/meta.ts";
import { besideEachOther, type Job } from "../actors/model/job.ts";
import { TidemarkError } from "./errors.ts";

export interface App {
  readonly jobs: readonly Job[];
  readonly codeHash: string;
}

const PACKAGE_ROOT = packageRoot(dirname(fileURLToPath(import.meta.url)));
const OWN_CODE = ["actors/model/", "actors/fold/", "runtime/", "inference/", "api/"];

export const TIDEMARK_VERSION = (JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8")) as { readonly version: string })
  .version;

/** The app with all shipped jobs. */
export const SHIPPED_APP = join(PACKAGE_ROOT, "actors", `shipped${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`);

/** Imports the app's module. Throws CONFIG_INVALID when it is no app. Call it once per thread, before anything else imports the app. */
export async function loadApp(path: string): Promise<App> {
  const file = resolve(path);
  if (!existsSync(file)) throw new TidemarkError("CONFIG_INVALID", `There is no app file ${path}.`);
  const root = packageRoot(dirname(file));
  const seen = new Map<string, string>();
  const hooks = registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (url.startsWith("file:")) note(seen, root, fileURLToPath(url), loaded.source);
      return loaded;
    },
  });
  let exported: unknown;
  try {
    exported = ((await import(pathToFileURL(file).href)) as { readonly default?: unknown }).default;
  } catch (error) {
    throw new TidemarkError("CONFIG_INVALID", `${path} cannot be loaded: ${error instanceof Error ? error.message : String(error)}.`, {
      cause: error,
    });
  } finally {
    hooks.deregister();
  }
  return { jobs: besideEachOther(jobsOf(path, exported)), codeHash: hashOf(seen) };
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
  const jobs = (Array.isArray(exported) ? exported : [exported]) as readonly (Job | undefined)[];
  const names = new Set<string>();
  for (const job of jobs) {
    if (job?.kind !== "job") throw new TidemarkError("CONFIG_INVALID", `${path}: the default export must be a job or an array of jobs.`);
    if (names.has(job.name)) throw new TidemarkError("CONFIG_INVALID", `${path}: two jobs are called "${job.name}".`);
    names.add(job.name);
  }
  return jobs as readonly Job[];
}

function note(seen: Map<string, string>, root: string, file: string, source: unknown): void {
  const inside = file.lastIndexOf(`${sep}node_modules${sep}`);
  if (inside !== -1) {
    const parts = file.slice(inside + 14).split(sep);
    const name = parts[0]!.startsWith("@") ? `${parts[0]}/${parts[1]}` : parts[0]!;
    const manifest = join(file.slice(0, inside + 14), name, "package.json");
    if (name !== "tidemark")
      seen.set(`package ${name}`, (JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string }).version);
    return;
  }
  const own = relative(PACKAGE_ROOT, file).split(sep).join("/");
  if (OWN_CODE.some((folder) => own.startsWith(folder))) return;
  const content = typeof source === "string" || source instanceof Uint8Array ? source : readFileSync(file);
  seen.set(`module ${relative(root, file).split(sep).join("/")}`, createHash("sha256").update(content).digest("hex"));
}

function hashOf(seen: ReadonlyMap<string, string>): string {
  const hash = createHash("sha256");
  for (const [what, version] of [...seen].sort((a, b) => (a[0] < b[0] ? -1 : 1))) hash.update(`${what} ${version}\n`);
  return hash.digest("hex");
}

function packageRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (dirname(folder) === folder) return from;
  }
}
