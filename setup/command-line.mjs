/**
 * Runs the command line on Node 24: on the one that was installed with the package, so that all who use one version of Tidemark fold
 * on one version of Node; else on the Node that runs this, when it is new enough. In this process where it can be, otherwise in a
 * child whose terminal, signals and exit code are this one's.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { report, SetupError } from "./report.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const NEEDED = 24;

export async function run() {
  const entry = entryModule();
  const packaged = packagedNode();
  if (packaged === undefined || packaged === realpathSync(process.execPath)) return runHere(entry, packaged);
  const child = spawn(packaged, [...process.execArgv, entry, ...process.argv.slice(2)], { stdio: "inherit" });
  const letGo = forwardSignals(child);
  // It cannot run here: another C library, or no permission.
  child.once("error", () => {
    letGo();
    runHere(entry, packaged);
  });
  child.once("exit", (code, signal) => {
    letGo();
    if (signal === null) process.exit(code ?? 1);
    process.kill(process.pid, signal);
  });
}

/** In the repository the sources, for `dist` may be older; the package has nothing but `dist`. */
function entryModule() {
  const source = join(ROOT, "api", "cli", "tidemark.ts");
  return existsSync(source) ? source : join(ROOT, "dist", "api", "cli", "tidemark.js");
}

async function runHere(entry, packaged) {
  if (Number(process.versions.node.split(".")[0]) >= NEEDED) {
    await import(pathToFileURL(entry).href);
    return;
  }
  report.failure(noNode(packaged));
  process.exitCode = 1;
}

/** The program of the platform's package, wherever npm put that; `undefined` when there is none for this platform. */
function packagedNode() {
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  try {
    const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
    return realpathSync(join(dirname(manifest), "bin", process.platform === "win32" ? "node.exe" : "node"));
  } catch {
    return undefined;
  }
}

function forwardSignals(child) {
  const handlers = ["SIGINT", "SIGTERM", "SIGHUP"].map((signal) => [signal, () => sentByTerminal(signal) || child.kill(signal)]);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}

/** Ctrl-C goes to the child as well: twice would mean to end at once. The terminal sends it to its foreground group only. */
function sentByTerminal(signal) {
  if (signal !== "SIGINT") return false;
  try {
    const stat = readFileSync("/proc/self/stat", "utf8");
    // Behind the name, which may hold anything: state, parent, group, session, terminal, the terminal's foreground group.
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return group === foreground;
  } catch {
    return process.stdin.isTTY === true || process.stderr.isTTY === true;
  }
}

function noNode(packaged) {
  const platform = `${process.platform}-${process.arch}`;
  const what =
    packaged === undefined
      ? `no Node ${NEEDED} for ${platform} was installed with tidemark`
      : `the Node ${NEEDED} that was installed with tidemark does not run on this machine (${platform})`;
  return new SetupError("SETUP_NO_NODE_24", `${what}, and this is Node ${process.versions.node}.`, [
    `install Node ${NEEDED} or newer from your system's packages or a version manager, and run the command again`,
    "if optional packages were left out (`npm install --omit=optional`), install again with them",
  ]);
}
