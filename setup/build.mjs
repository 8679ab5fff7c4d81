/**
 * Builds `dist/`, what `npm pack` ships: the sources as JavaScript with their types, and beside them the files that they read.
 * Node refuses TypeScript below `node_modules`, so the package cannot ship the sources. Called by npm before it packs.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(ROOT, "dist");
const LAYERS = ["actors", "runtime", "inference", "api"];

// A module that was deleted since must not be shipped.
rmSync(DIST, { recursive: true, force: true });
const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
const { status } = spawnSync(process.execPath, [compiler, "-p", join(ROOT, "tsconfig.build.json")], { stdio: ["ignore", 2, 2] });
if (status === 0) copyAssets();
process.exitCode = status ?? 1;

/** Whatever a source reads at run time lies beside it; notes for readers stay behind. */
function copyAssets() {
  for (const layer of LAYERS.filter((name) => existsSync(join(ROOT, name)))) {
    for (const path of readdirSync(join(ROOT, layer), { recursive: true, withFileTypes: true })) {
      if (!path.isFile() || [".ts", ".md"].includes(extname(path.name))) continue;
      const file = join(path.parentPath, path.name);
      cpSync(file, join(DIST, file.slice(ROOT.length + 1)));
    }
  }
}
