/** A project of its own, with Tidemark as a package, in which tests that were exported run as its owner runs them. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

const ROOT = new URL("../..", import.meta.url).pathname;

export interface ExportedProject {
  readonly folder: string;
  /** Writes a test of that name and runs it alone. */
  run(name: string, text: string): { readonly status: number | null; readonly out: string };
}

export function exportedProject(): ExportedProject {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-exported-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const installed = join(folder, "node_modules", "tidemark");
  mkdirSync(installed, { recursive: true });
  for (const name of ["actors", "runtime", "index.ts"]) symlinkSync(join(ROOT, name), join(installed, name));
  const exports = { ".": "./index.ts", "./testing": "./runtime/testing/testing.ts" };
  writeFileSync(join(installed, "package.json"), JSON.stringify({ name: "tidemark", type: "module", exports }));
  return {
    folder,
    run(name, text) {
      writeFileSync(join(folder, name), text);
      const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
      const { status, stdout, stderr } = spawnSync(process.execPath, ["--test", name], { cwd: folder, env, encoding: "utf8" });
      return { status, out: stdout + stderr };
    },
  };
}
