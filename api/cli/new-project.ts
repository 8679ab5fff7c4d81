/**
 * A new project from the template that ships: real files, which the repository's own checks read as well.
 *
 * Each file is there whole or not at all, and one that is there with the same bytes is left alone, so that a run that was
 * interrupted is finished by the next. Anything else in the folder stops it before it writes: nothing of the user's is ever changed.
 */
import { type Dirent, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { TidemarkError } from "../../runtime/errors.ts";
import { PACKAGE_ROOT } from "../../runtime/own-package.ts";
import { usageError } from "./framework/command.ts";

export interface ProjectOptions {
  readonly folder: string;
  /** The dependency as package.json names it. A path, of a tarball or behind `file:`, is relative to where the command runs. */
  readonly tidemark: string;
}

export interface Project {
  /** Absolute. */
  readonly folder: string;
  readonly name: string;
  /** What was written now, relative to the folder; nothing when an earlier run had written all. */
  readonly written: readonly string[];
}

const TEMPLATE = join(PACKAGE_ROOT, "template");
const HALF = ".half";
const LISTED_MAX = 5;
const NAME_MAX = 64;

/** Fails with FOLDER_NOT_EMPTY or FOLDER_UNWRITABLE, and with USAGE_INVALID when the dependency is a file that is not there. */
export function createProject(options: ProjectOptions): Project {
  const folder = resolve(options.folder);
  const name = packageName(basename(folder));
  const files = filesOf(name, dependency(options.tidemark, folder));
  try {
    const foreign = foreignIn(folder, files);
    if (foreign.length > 0) throw notEmpty(folder, foreign);
    const written = [...files.keys()].filter((path) => !existsSync(join(folder, path)));
    for (const path of written) writeWhole(join(folder, path), files.get(path)!);
    return { folder, name, written };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new TidemarkError("FOLDER_UNWRITABLE", `${(error as Error).message}.`, { cause: error });
  }
}

/** The files of the project by path, with `/`. npm leaves a `.gitignore` out of a package, so it goes by another name there. */
function filesOf(name: string, tidemark: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const entry of readdirSync(TEMPLATE, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = relative(TEMPLATE, join(entry.parentPath, entry.name)).split(sep).join("/");
    const text = readFileSync(join(TEMPLATE, path), "utf8");
    if (path === "package.json") files.set(path, manifestOf(text, name, tidemark));
    else files.set(path === "gitignore" ? ".gitignore" : path, text.replaceAll("my-project", name));
  }
  return files;
}

function manifestOf(text: string, name: string, tidemark: string): string {
  const manifest = JSON.parse(text) as { readonly dependencies: Readonly<Record<string, string>> };
  return `${JSON.stringify({ ...manifest, name, dependencies: { ...manifest.dependencies, tidemark } }, null, 2)}\n`;
}

function dependency(given: string, folder: string): string {
  const path = given.startsWith("file:") ? given.slice("file:".length) : isTarball(given) ? given : undefined;
  if (path === undefined) return given;
  if (!existsSync(path)) throw usageError(`--tidemark "${given}": there is no such file.`);
  return `file:${relative(folder, resolve(path)).split(sep).join("/")}`;
}

/** On this machine: npm takes one with a scheme from elsewhere. */
function isTarball(given: string): boolean {
  return /\.(tgz|tar\.gz)$/.test(given) && !/^[a-z+]{2,}:/i.test(given);
}

/** What npm takes as a name, made of the folder's. */
function packageName(text: string): string {
  const name = text
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .replace(/^-+/, "")
    .slice(0, NAME_MAX)
    .replace(/-+$/, "");
  return name === "" ? "my-project" : name;
}

/** Paths below `folder` that no run of this command would have left there. A folder that is under version control is as good as empty. */
function foreignIn(folder: string, files: ReadonlyMap<string, string>, below = ""): string[] {
  return entriesOf(join(folder, below)).flatMap((entry) => {
    const path = `${below}${entry.name}`;
    if (path === ".git") return [];
    if (entry.isDirectory()) {
      const ours = [...files.keys()].some((file) => file.startsWith(`${path}/`));
      return ours ? foreignIn(folder, files, `${path}/`) : [path];
    }
    if (path.endsWith(HALF) && files.has(path.slice(0, -HALF.length))) return [];
    return entry.isFile() && files.has(path) && readFileSync(join(folder, path), "utf8") === files.get(path) ? [] : [path];
  });
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function notEmpty(folder: string, foreign: readonly string[]): TidemarkError {
  const more = foreign.length > LISTED_MAX ? ` and ${foreign.length - LISTED_MAX} more` : "";
  return new TidemarkError("FOLDER_NOT_EMPTY", `${folder} holds ${foreign.slice(0, LISTED_MAX).join(", ")}${more}.`);
}

function writeWhole(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}${HALF}`, text);
  renameSync(`${file}${HALF}`, file);
}
