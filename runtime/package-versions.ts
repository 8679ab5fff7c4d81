/**
 * The versions of the packages that an app stands on: those that its modules import, and all that these depend on in turn.
 *
 * Read from package.json files and not from what is loaded: a package that something else in the thread has loaded before is
 * not loaded again, and one that is loaded late would be missed; then two threads would disagree about the same app. Tidemark
 * itself is not among them: an epoch names its version, which fixes those of its own packages that the fold uses.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";

const MODULES = `${sep}node_modules${sep}`;

interface Manifest {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** Whether a file belongs to an installed package. */
export function isInPackage(file: string): boolean {
  return file.includes(MODULES);
}

export class PackageVersions {
  /** By folder, so that two versions of one package are both there. */
  readonly #found = new Map<string, string>();
  readonly #imported = new Set<string>();

  /** Adds the package that holds `file`, and what it depends on. */
  addOf(file: string): void {
    const inside = file.lastIndexOf(MODULES) + MODULES.length;
    const [first, second] = file.slice(inside).split(sep);
    const name = first!.startsWith("@") ? `${first}/${second}` : first!;
    this.#imported.add(name);
    const waiting = [{ name, folder: join(file.slice(0, inside), name) }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (next.name === "tidemark" || this.#found.has(next.folder)) continue;
      const manifest = JSON.parse(readFileSync(join(next.folder, "package.json"), "utf8")) as Manifest;
      this.#found.set(next.folder, `package ${next.name} ${manifest.version}`);
      for (const dependency of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.peerDependencies })) {
        const folder = installedFor(next.folder, dependency);
        if (folder !== undefined) waiting.push({ name: dependency, folder });
      }
    }
  }

  /** Names of those that were added themselves, sorted. */
  imported(): string[] {
    return [...this.#imported].sort();
  }

  /** One line for each, `package <name> <version>`, in no order. */
  lines(): string[] {
    return [...new Set(this.#found.values())];
  }
}

/** Where Node would find the package `name` from `folder`; `undefined` when it is not installed, as an optional one may be. */
export function installedFor(folder: string, name: string): string | undefined {
  for (let from = folder; ; from = dirname(from)) {
    const place = join(from, "node_modules", name);
    if (basename(from) !== "node_modules" && existsSync(join(place, "package.json"))) return place;
    if (dirname(from) === from) return undefined;
  }
}
