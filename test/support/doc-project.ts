/**
 * The pages as a stranger's projects: one folder for each, which stands in for both a clone and a project that has the
 * package installed. There `tidemark` is the door of the sources, and a page's blocks lie as the files that they name;
 * blocks of one name are one file, each put below the one before.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Block, blocksOf, docPages, folderName, ROOT } from "./doc-page.ts";
import type { Cleanup } from "./nats.ts";

/** Of the repository, what a page's commands and imports reach into. */
const OF_THE_CLONE = ["actors", "api", "index.ts", "runtime", "setup"];

export interface DocFile {
  readonly page: string;
  /** Absolute. */
  readonly path: string;
}

export interface DocProject {
  readonly folder: string;
  readonly blocks: readonly Block[];
  /** The `ts` and `js` blocks. */
  readonly files: readonly DocFile[];
  folderOf(page: string): string;
}

export function writeDocProject(t: Cleanup): DocProject {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-docs-"));
  t.after(async () => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "package.json"), '{ "type": "module", "dependencies": { "tidemark": "*" } }');
  writePackage(folder);
  const folderOf = (page: string): string => join(folder, folderName(page));
  const blocks = docPages().flatMap((page) => blocksOf(page));
  const texts = new Map<string, { readonly page: string; text: string }>();
  for (const { page, line, language, name, text, notRun } of blocks) {
    if ((language !== "ts" && language !== "js") || notRun !== undefined) continue;
    const path = join(folderOf(page), name ?? `line-${line}.${language}`);
    const known = texts.get(path);
    if (known === undefined) texts.set(path, { page, text });
    else known.text += text;
  }
  for (const page of new Set(blocks.map((block) => block.page))) {
    mkdirSync(folderOf(page), { recursive: true });
    for (const name of [...OF_THE_CLONE, "node_modules"]) {
      symlinkSync(name === "node_modules" ? join(folder, name) : join(ROOT, name), join(folderOf(page), name));
    }
  }
  const files = [...texts].map(([path, { page, text }]) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return { page, path };
  });
  writeTsconfig(folder, files);
  return { folder, blocks, files, folderOf };
}

/** The package without packing it: Node takes TypeScript below node_modules through a link only. */
function writePackage(folder: string): void {
  const doors = { ".": "./index.ts", "./testing": "./testing.ts" };
  mkdirSync(join(folder, "package"));
  writeFileSync(
    join(folder, "package/package.json"),
    JSON.stringify({ name: "tidemark", version: "0.0.0", type: "module", exports: doors }),
  );
  writeFileSync(join(folder, "package/index.ts"), `export * from ${JSON.stringify(join(ROOT, "index.ts"))};\n`);
  writeFileSync(join(folder, "package/testing.ts"), `export * from ${JSON.stringify(join(ROOT, "runtime/testing/testing.ts"))};\n`);
  mkdirSync(join(folder, "node_modules"));
  for (const name of readdirSync(join(ROOT, "node_modules")))
    symlinkSync(join(ROOT, "node_modules", name), join(folder, "node_modules", name));
  symlinkSync(join(folder, "package"), join(folder, "node_modules/tidemark"));
}

function writeTsconfig(folder: string, files: readonly DocFile[]): void {
  const tsconfig = {
    extends: join(ROOT, "tsconfig.json"),
    compilerOptions: { paths: {}, typeRoots: [join(ROOT, "node_modules/@types")] },
    files: [...files.map(({ path }) => path).filter((path) => path.endsWith(".ts")), join(ROOT, "runtime/threads/comlink-node.d.ts")],
    include: [],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(tsconfig));
}
