/** A small clone of the repository in a temporary folder: set-up as it is, a lockfile of its own, and the real npm. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNatsServer } from "../../runtime/node/nats-binary.ts";
import type { Cleanup } from "./nats.ts";

const SETUP = fileURLToPath(new URL("../../setup", import.meta.url));
const NOBODY = 65_534;

/** Readable by every user, gone afterwards. */
export function folder(t: Cleanup): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "tidemark-clone-")));
  chmodSync(path, 0o755);
  t.after(async () => {
    chmodSync(path, 0o755);
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

/** A folder for PATH that holds the nats-server of this run. */
export function natsFolder(t: Cleanup): string {
  const path = folder(t);
  symlinkSync(findNatsServer().binary, join(path, "nats-server"));
  return path;
}

export function program(path: string, script: string): void {
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

/** Nothing is installed in it yet. */
export function freshClone(t: Cleanup, dependencies: Record<string, string> = {}): string {
  const clone = folder(t);
  cpSync(SETUP, join(clone, "setup"), { recursive: true });
  writeLockfile(clone, dependencies);
  return clone;
}

/** The dependencies need not exist: where they matter, there is no network. */
export function writeLockfile(clone: string, dependencies: Record<string, string>): void {
  const project = { name: "clone", version: "1.0.0", dependencies };
  const packages: Record<string, unknown> = { "": project };
  for (const [name, version] of Object.entries(dependencies)) packages[`node_modules/${name}`] = { version };
  writeFileSync(join(clone, "package.json"), JSON.stringify(project));
  writeFileSync(join(clone, "package-lock.json"), JSON.stringify({ name: "clone", version: "1.0.0", lockfileVersion: 3, packages }));
}

export async function setUpClone(t: Cleanup): Promise<string> {
  const clone = freshClone(t);
  const path = natsFolder(t);
  mkdirSync(join(clone, "node_modules"));
  const { code, said } = await setUp(clone, "test", { PATH: path });
  if (code !== 0) throw new Error(`set-up of a clone failed: ${said}`);
  return clone;
}

export interface Ended {
  readonly code: number;
  /** Standard error; lines of standard output would be marked. */
  readonly said: string;
}

/** `asNobody`: permissions bind everyone but root, so root hands the process to another user. */
export async function setUp(clone: string, command: string, env: Record<string, string> = {}, asNobody = false): Promise<Ended> {
  const user = asNobody && process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  const child = spawn(process.execPath, [join(clone, "setup/setup.mjs"), command], {
    cwd: clone,
    ...user,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, HOME: clone, npm_execpath: npmCli(), npm_node_execpath: process.execPath, ...env },
  });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  child.stdout.on("data", (chunk) => {
    said += `on standard output: ${chunk}`;
  });
  const [code] = await once(child, "close");
  return { code: code as number, said };
}

export function npmCli(): string {
  const given = process.env.npm_execpath;
  if (given !== undefined && given !== "") return given;
  const found = (process.env.PATH ?? "").split(delimiter).flatMap((path) => {
    try {
      return [realpathSync(join(path, "npm"))];
    } catch {
      return [];
    }
  });
  return found[0] ?? "npm";
}
