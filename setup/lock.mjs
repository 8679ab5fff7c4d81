/**
 * One set-up at a time for a clone: two `npm ci` in one folder would delete each other's files.
 * The lock lies outside the clone, because `node_modules` comes and goes; one whose process is gone is taken over.
 */
import { createHash } from "node:crypto";
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { report, SetupError } from "./report.mjs";

const WAIT_MS = 10 * 60_000;
const LOOK_MS = 200;

/**
 * @template T
 * @param {string} root
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(root, work) {
  const user = process.getuid?.() ?? "user";
  const file = join(tmpdir(), `tidemark-setup-${createHash("sha256").update(`${user}:${root}`).digest("hex").slice(0, 16)}.lock`);
  const held = await acquire(file);
  const release = () => held && rmSync(file, { force: true });
  const interrupted = () => {
    release();
    process.exit(130);
  };
  process.once("SIGINT", interrupted);
  process.once("SIGTERM", interrupted);
  try {
    return await work();
  } finally {
    release();
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", interrupted);
  }
}

/** False when there is no place for a lock: no reason not to run, the steps say what cannot be written. */
async function acquire(file) {
  const deadline = Date.now() + WAIT_MS;
  let told = false;
  for (;;) {
    const taken = take(file);
    if (taken !== undefined) return taken;
    const holder = holderOf(file);
    if (holder === undefined) {
      rmSync(file, { force: true });
      continue;
    }
    if (Date.now() > deadline) {
      throw new SetupError("SETUP_LOCKED", `another set-up of this folder runs for over ten minutes (process ${holder}).`, [
        "wait for it, or end it, and run the command again",
        `when that process is no set-up, delete ${file}`,
      ]);
    }
    if (!told) report.notice(`another set-up of this folder is running (process ${holder}); waiting for it`);
    told = true;
    await delay(LOOK_MS);
  }
}

/** Linked, not created: the lock must never be there without the process that holds it. `undefined` when another has it. */
function take(file) {
  const own = `${file}.${process.pid}`;
  try {
    writeFileSync(own, String(process.pid), { mode: 0o600 });
    linkSync(own, file);
    return true;
  } catch (error) {
    return error.code === "EEXIST" ? undefined : false;
  } finally {
    rmSync(own, { force: true });
  }
}

/** The process that holds the lock; `undefined` when it is gone. */
function holderOf(file) {
  try {
    const pid = Number(readFileSync(file, "utf8"));
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return error.code === "EPERM" ? "of another user" : undefined;
  }
}
