/** Checks of this machine: Node, the data directory and its disk, the files that hold tokens. They write nothing but a probe file. */
import { randomUUID } from "node:crypto";
import { existsSync, rmSync, type Stats, statfsSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { bytesText, type Check, fail, ok, warn } from "./check.ts";

const NODE_LEAST = 24;
const FREE_FAIL_BYTES = 256 * 1024 ** 2;
const FREE_WARN_BYTES = 2 * 1024 ** 3;

export function checkNode(version: string): Check {
  if (Number(version.split(".")[0]) >= NODE_LEAST) return ok("node", `Node ${version}`);
  return fail("node", `Node ${version} is older than ${NODE_LEAST}`, `Install Node ${NODE_LEAST}; \`npm start\` in a clone brings one.`);
}

/** The directory itself, or the nearest one above it that is there: the node makes the rest. */
export function checkDataDir(dataDir: string): Check[] {
  const folder = nearestFolder(resolve(dataDir));
  return [checkWritable(dataDir, folder), checkSpace(folder)];
}

function checkWritable(dataDir: string, folder: string): Check {
  const probe = join(folder, `.tidemark-probe-${randomUUID()}`);
  try {
    writeFileSync(probe, "", { flag: "wx" });
    rmSync(probe);
    return ok("data directory", `${dataDir} ${existsSync(dataDir) ? "can be written" : "can be made"}`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return fail(
      "data directory",
      `${folder} cannot be written: ${code ?? String(error)}`,
      "Name a directory that can be written with TIDEMARK_DATA_DIR.",
    );
  }
}

function checkSpace(folder: string): Check {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const found = `${bytesText(free)} free at ${folder}`;
  const mend = "Free space, or name a directory on another disk with TIDEMARK_DATA_DIR.";
  if (free < FREE_FAIL_BYTES) return fail("disk", found, mend);
  return free < FREE_WARN_BYTES ? warn("disk", found, mend) : ok("disk", found);
}

/** A file of tokens or of their hashes: who may write it gives himself every role, who may read a token is its owner. */
export function checkSecretFile(name: string, file: string, holds: "tokens" | "hashes"): Check {
  let stats: Stats;
  try {
    stats = statSync(file);
  } catch (error) {
    return fail(name, `${file}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`, "Correct the path, or make the file.");
  }
  if (!stats.isFile()) return fail(name, `${file} is no file`, "Name a file.");
  const mode = (stats.mode & 0o777).toString(8);
  const mend = `chmod 600 ${file}`;
  // Windows has other permissions, which a mode does not show.
  if (process.platform === "win32") return ok(name, file);
  if ((stats.mode & 0o022) !== 0) return fail(name, `${file} may be written by others (mode ${mode})`, mend);
  if ((stats.mode & 0o044) === 0) return ok(name, `${file}, mode ${mode}`);
  const found = `${file} may be read by others (mode ${mode})`;
  return holds === "tokens" ? fail(name, found, mend) : warn(name, found, mend);
}

function nearestFolder(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearestFolder(dirname(folder));
}
