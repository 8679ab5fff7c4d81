/**
 * A nats-server program: the first on PATH that is new enough, else a private one under the cache folder, fetched where that is possible.
 * Never installs anything into the system and never touches a server that runs.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { canFetch, fetchFromDistribution } from "./distribution.mjs";
import { report, SetupError } from "./report.mjs";

const OLDEST = [2, 12];
const ADVISED = [2, 15];
const PROGRAM = process.platform === "win32" ? "nats-server.exe" : "nats-server";

/**
 * @param {string} cacheFolder
 * @returns {Promise<{path: string, version: string}>}
 */
export async function provideNatsServer(cacheFolder) {
  const folder = join(cacheFolder, "nats-server");
  const found = onPath() ?? inCache(folder);
  if (found !== undefined) return found;
  if (!canFetch()) throw noServer("there is no nats-server on PATH, and set-up can fetch one on Debian and Ubuntu only.");
  const path = await report.step("fetching a nats-server from the distribution's mirror", () =>
    fetchFromDistribution(folder, (program) => isUsable(versionOf(program))),
  );
  if (path === undefined) throw noServer("the distribution's mirror has no nats-server of 2.12 or newer that runs here.");
  return { path, version: versionOf(path) };
}

function onPath() {
  const folders = [...new Set((process.env.PATH ?? "").split(delimiter))].filter((folder) => folder !== "");
  for (const path of folders.map((folder) => join(folder, PROGRAM))) {
    if (!existsSync(path) || !statSync(path).isFile()) continue;
    const version = versionOf(path);
    if (isUsable(version)) {
      if (isBelow(version, ADVISED)) {
        report.notice(
          `nats-server ${version} (${path}) works; 2.15 or newer is advised: older ones can lose acknowledged messages on power loss`,
        );
      }
      return { path, version };
    }
    report.notice(`skipping ${path}: ${version === undefined ? "it does not run" : `${version} is older than 2.12`}`);
  }
  return undefined;
}

function inCache(folder) {
  if (!existsSync(folder)) return undefined;
  for (const name of readdirSync(folder).sort().reverse()) {
    if (!name.startsWith("nats-server-")) continue;
    const path = join(folder, name);
    const version = versionOf(path);
    if (isUsable(version)) return { path, version };
  }
  return undefined;
}

function versionOf(program) {
  try {
    const said = execFileSync(program, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 10_000 });
    return /\bv?(\d+\.\d+\.\d+\S*)/.exec(said)?.[1];
  } catch {
    return undefined;
  }
}

function isUsable(version) {
  return version !== undefined && !isBelow(version, OLDEST);
}

function isBelow(version, [major, minor]) {
  const [haveMajor, haveMinor] = version.split(".").map(Number);
  return haveMajor < major || (haveMajor === major && haveMinor < minor);
}

function noServer(what) {
  return new SetupError("SETUP_NO_NATS_SERVER", what, [
    "install nats-server 2.15 or newer with your system's package manager, so that it is on PATH",
    "or put the nats-server program of its release archive into a folder on PATH",
    "or set TIDEMARK_NATS_URL to a server that runs (not for `npm test`, which starts servers of its own)",
  ]);
}
