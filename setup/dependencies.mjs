/**
 * The npm packages, exactly as the lockfile has them, installed by the npm that runs this command.
 * A stamp in `node_modules` holds the lockfile's hash; without one, what npm itself recorded there is compared.
 * `npm ci` starts anew after an interruption and takes what was downloaded from npm's cache.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isReadOnly, orReadOnly, readOnly, report, SetupError } from "./report.mjs";

const NO_NETWORK =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|FETCH_ERROR|ENOTCACHED)\b/;

/** npm's own pauses of 10 and 60 s, for each package in turn, would let a machine without network wait for ten minutes. */
const RETRIES = ["--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000"];

/** @param {string} root */
export async function provideDependencies(root) {
  const lockfile = join(root, "package-lock.json");
  const wanted = existsSync(lockfile) ? hashOf(lockfile) : "no lockfile";
  const stamp = join(root, "node_modules", ".tidemark-setup");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  if (!installedAsLocked(root, lockfile)) {
    // Asked first: npm says it in many ways, and some of them late.
    orReadOnly(root, () => accessSync(root, constants.W_OK));
    const command = commandFor(lockfile);
    await report.step(`installing the dependencies (npm ${command.join(" ")})`, () => npm(root, command));
  }
  try {
    mkdirSync(join(root, "node_modules"), { recursive: true });
    // npm install may have written the lockfile just now.
    writeFileSync(stamp, existsSync(lockfile) ? hashOf(lockfile) : wanted);
  } catch (error) {
    // Complete but read-only: the comparison is repeated the next time, nothing more.
    if (!isReadOnly(error.code)) throw error;
  }
}

function hashOf(file) {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

/** Whether npm's own record of `node_modules` holds every package of the lockfile that this platform needs. */
function installedAsLocked(root, lockfile) {
  const recordFile = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(lockfile) || !existsSync(recordFile)) return false;
  const installed = readPackages(recordFile);
  return Object.entries(readPackages(lockfile)).every(([path, locked]) => {
    if (path === "" || (locked.optional && !isForThisPlatform(locked))) return true;
    return installed[path]?.version === locked.version && installed[path]?.integrity === locked.integrity && existsSync(join(root, path));
  });
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages ?? {};
  } catch {
    return {};
  }
}

/**
 * `npm ci` refuses a lockfile that lacks a package for some other platform, as happens when it was made where the registry has not all
 * of them. Then `npm install --no-save` installs what is locked just the same, and leaves the lockfile as it is.
 */
function commandFor(lockfile) {
  if (!existsSync(lockfile)) return ["install"];
  const packages = readPackages(lockfile);
  const locked = new Set(Object.keys(packages).map((path) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length)));
  const named = Object.values(packages).flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}));
  return named.every((name) => locked.has(name)) ? ["ci"] : ["install", "--no-save"];
}

/** A package for one C library may be left out by npm: which library this is, only npm knows. */
function isForThisPlatform({ os, cpu, libc }) {
  const fits = (list, own) => list === undefined || [list].flat().includes(own);
  return libc === undefined && (os !== undefined || cpu !== undefined) && fits(os, process.platform) && fits(cpu, process.arch);
}

async function npm(root, command) {
  const cli = process.env.npm_execpath;
  if (!cli) {
    throw new SetupError("SETUP_NO_NPM", "set-up was not called by npm, so it cannot install the dependencies.", [
      "run `npm start` or `npm test` instead, or `npm ci` first",
    ]);
  }
  // Not process.execPath: that may be the Node below node_modules, which npm is about to delete.
  const node = process.env.npm_node_execpath || process.execPath;
  const flags = ["--include=dev", "--include=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", ...RETRIES];
  const isScript = /\.[cm]?js$/.test(cli);
  const { code, said } = await run(isScript ? node : cli, [...(isScript ? [cli] : []), ...command, ...flags], root);
  if (code !== 0) throw failureOf(command, said, root);
}

/** npm's own lines go to stderr as they come: stdout belongs to the command that follows. */
function run(program, args, cwd) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    const take = (chunk) => {
      process.stderr.write(chunk);
      said = (said + chunk).slice(-16_384);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.once("error", (error) => resolve({ code: 1, said: `${said}\n${error.message}` }));
    child.once("close", (code) => resolve({ code: code ?? 1, said }));
  });
}

function failureOf(command, said, root) {
  if (NO_NETWORK.test(said)) {
    return new SetupError("SETUP_NO_NETWORK", "npm could not reach its package registry.", [
      "check the connection, and npm's proxy and registry settings (`npm config get registry`, `npm config get proxy`)",
      "run the command again: what was downloaded is kept",
      "on a machine without network: copy `node_modules` from one of the same kind and the same lockfile",
    ]);
  }
  const refused = /\b(EROFS|EACCES|EPERM)\b/.exec(said);
  if (refused) return readOnly(root, refused[1]);
  if (/\bENOSPC\b/.test(said))
    return new SetupError("SETUP_DISK_FULL", "there is no space left on the disk.", ["free 1 GB and run the command again"]);
  return new SetupError("SETUP_DEPENDENCIES", `npm ${command[0]} failed; its own lines are above.`, [
    "run it by itself to see more, mend what it names, and run the command again",
  ]);
}
