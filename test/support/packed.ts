/**
 * The package as a stranger gets it: packed by npm from a copy of the sources, and a project made by it and installed
 * from it. Nothing of the repository is in reach of the project: not its node_modules, not its Node, not its environment.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { folder, npmCli } from "./clone.ts";
import type { Cleanup } from "./nats.ts";

export const ROOT = resolve(fileURLToPath(new URL("../..", import.meta.url)));
/** Why a test that types on a terminal is skipped; `false` where it can run. */
export const NO_TERMINAL = process.platform === "linux" ? false : "needs the program `script` of util-linux";
const STOP_MS = 20_000;
/** Results of benchmarks lie in a folder of theirs, which is as large as they were often run. */
const LEFT_BEHIND = new Set(
  ["node_modules", "dist", ".git", ".tidemark"].map((name) => join(ROOT, name)).concat(join(ROOT, "bench", "results")),
);

export interface Packed {
  readonly tarball: string;
  /** What it unpacks to. */
  readonly unpacked: string;
  /** Where it was built. */
  readonly builtIn: string;
}

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `npm pack`, with its own build, in a copy: the repository may be read-only, and another build may run there. */
export async function pack(t: Cleanup): Promise<Packed> {
  const place = folder(t);
  const builtIn = join(place, "sources");
  cpSync(ROOT, builtIn, { recursive: true, filter: (path) => !LEFT_BEHIND.has(path) });
  symlinkSync(join(ROOT, "node_modules"), join(builtIn, "node_modules"));
  const { stdout } = await npm(builtIn, ["pack", "--json", "--pack-destination", place]);
  const answer = JSON.parse(stdout) as readonly { readonly filename: string }[] | Record<string, { readonly filename: string }>;
  const tarball = join(place, Object.values(answer)[0]!.filename);
  const unpacked = join(place, "package");
  const { status, stderr } = spawnSync("tar", ["-xzf", tarball, "-C", place], { encoding: "utf8" });
  if (status !== 0) throw new Error(`the tarball does not unpack: ${stderr}`);
  return { tarball, unpacked, builtIn };
}

/**
 * A project made by the package's own `init` and installed by npm. The versions of all dependencies are the repository's, through a
 * lockfile: so npm finds them where it put them when the repository was set up, and needs no network.
 */
export async function installedProject(packed: Packed, place: string): Promise<string> {
  // What the package needs to run before it is installed: `npx tidemark init` has it too.
  symlinkSync(join(ROOT, "node_modules"), join(packed.unpacked, "..", "node_modules"));
  const project = join(place, "my shop");
  mkdirSync(place, { recursive: true });
  const made = await tidemark(packed.unpacked, place, ["init", "my shop", "--tidemark", `file:${packed.tarball}`]).ended;
  if (made.code !== 0) throw new Error(`init failed: ${made.stderr}`);
  writeLockfile(project, packed);
  await npm(project, ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=warn"]);
  return project;
}

function writeLockfile(project: string, packed: Packed): void {
  const read = (path: string) => JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  const manifest = read(join(project, "package.json"));
  const { version, dependencies, optionalDependencies, engines, bin } = read(join(packed.unpacked, "package.json"));
  const { packages } = read(join(ROOT, "package-lock.json"));
  // npm prunes what the project does not need.
  const tidemarkEntry = {
    version,
    resolved: (manifest.dependencies as Record<string, string>).tidemark,
    dependencies,
    optionalDependencies,
    engines,
    bin,
  };
  const { name } = manifest;
  const lock = { name, version: manifest.version, lockfileVersion: 3, requires: true };
  const all = { ...(packages as object), "": manifest, "node_modules/tidemark": tidemarkEntry };
  writeFileSync(join(project, "package-lock.json"), JSON.stringify({ ...lock, packages: all }));
}

/** Runs npm to its end; throws with what it said when it fails. */
export async function npm(cwd: string, args: readonly string[], path = strangersPath()): Promise<Ran> {
  const ran = await run(process.execPath, [npmCli(), ...args], cwd, { PATH: path }).ended;
  if (ran.code !== 0) throw new Error(`npm ${args.join(" ")}: exit code ${ran.code}\n${ran.stderr}\n${ran.stdout}`);
  return ran;
}

/** The command of an installed or unpacked package, by this process's Node: another one than the package's own. */
export function tidemark(packageFolder: string, cwd: string, args: readonly string[], env: Record<string, string> = {}): Running {
  return run(process.execPath, [join(packageFolder, "setup", "tidemark.mjs"), ...args], cwd, env);
}

export interface Running {
  readonly ended: Promise<Ran>;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, so that it ends what it started; when that takes too long, SIGKILL to all of it. */
  stop(): Promise<Ran>;
  /** Into its stdin. */
  type(text: string): void;
  /** Resolves with the first match in what it says on stdout or stderr; rejects when it ends without. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
}

/** In a session of its own: what is typed on the terminal of the tests does not reach it. */
export function run(program: string, args: readonly string[], cwd: string, env: Record<string, string> = {}): Running {
  const child = spawn(program, args, { cwd, env: { ...strangersEnvironment(), ...env }, stdio: "pipe", detached: true });
  const said = { stdout: "", stderr: "" };
  const watchers = new Set<() => void>();
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      said[stream] += text;
      for (const look of watchers) look();
    });
  }
  const ended = (once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>).then(([code, signal]) => ({
    code,
    signal,
    ...said,
  }));
  return {
    ended,
    kill: (signal) => child.kill(signal),
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), STOP_MS);
      const ran = await ended;
      clearTimeout(timer);
      return ran;
    },
    type: (text) => child.stdin.write(text),
    said: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const match = pattern.exec(said.stdout) ?? pattern.exec(said.stderr);
          if (match === null) return;
          watchers.delete(look);
          resolve(match);
        };
        watchers.add(look);
        look();
        void ended.then(({ code, stderr }) => reject(new Error(`ended with ${code} before it said ${pattern}:\n${stderr}`)));
      }),
  };
}

/** PATH without the programs of a node_modules: npm puts the repository's there when it runs the tests. */
export function strangersPath(...first: readonly string[]): string {
  const own = (process.env.PATH ?? "").split(delimiter).filter((path) => !path.includes("node_modules"));
  return [...first, ...own].join(delimiter);
}

/** npm's settings of this machine, and whom it trusts on the network, hold for the stranger too; what npm and the test runner say of this run does not. */
function strangersEnvironment(): Record<string, string | undefined> {
  const ours =
    /^(npm_(package|lifecycle)_|npm_(command|execpath|node_execpath)$|npm_config_(local_prefix|prefix)$|NODE_(?!EXTRA_CA_CERTS$)|TIDEMARK_|INIT_CWD$)/;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
  return { ...env, PATH: strangersPath() };
}
