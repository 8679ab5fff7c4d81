/**
 * What the package.json files of an app say about how its modules are read. `imports` leads names to files, so it decides what is
 * loaded as much as a module does: the code hash covers it. Everything else in these files counts for nothing.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

export interface AppManifest {
  /** Absolute, or from the app's root with `/`. */
  readonly folder: string;
  /** JSON of `type` and `imports`. */
  readonly text: string;
}

/** Of the nearest package.json above each file. One that is found by none is not there when the build is put up elsewhere. */
export function manifestsAbove(files: readonly string[]): readonly AppManifest[] {
  const found = new Map<string, string>();
  for (const file of files) {
    const folder = nearestManifest(dirname(file));
    if (folder === undefined || found.has(folder)) continue;
    const { type, imports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, unknown>;
    found.set(folder, JSON.stringify({ type, imports }));
  }
  return [...found].map(([folder, text]) => ({ folder, text }));
}

/** One line for each that has `imports`. `folder` from the app's root. */
export function importLines(manifests: readonly AppManifest[]): string[] {
  return manifests.flatMap(({ folder, text }) => {
    const { imports } = JSON.parse(text) as { readonly imports?: unknown };
    if (imports === undefined) return [];
    return [`imports ${folder} ${createHash("sha256").update(JSON.stringify(imports)).digest("hex")}`];
  });
}

function nearestManifest(from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (dirname(folder) === folder) return undefined;
  }
}
