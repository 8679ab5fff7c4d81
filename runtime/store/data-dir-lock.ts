/**
 * The lock of a data directory: a socket that its owner listens on, so the kernel frees it with the process,
 * however that ends. It is taken before any environment is opened.
 *
 * The socket files are numbered, `lock.1`, `lock.2`, …: a socket whose owner was killed stays as a file that nobody
 * listens on, and taking such a file's place by its name has a race (two starters both see it dead, the second removes the
 * first one's new file). So nobody takes a place: a starter listens under a name of its own and links it to the next number.
 *
 * 1. A link is exclusive, and its socket listens before the link exists: what answers nothing is dead for good.
 * 2. Having linked `n`, a starter looks again. A higher number: it withdraws and begins anew. A lower one that lives: it
 *    waits for that one's decision and gives up if it is the owner. So of two that linked, the later sees the earlier.
 * 3. A starter waits only for lower numbers or before it has linked: nobody waits in a circle.
 * 4. A socket answers when its starter has decided: the owner with a line that names it, another with nothing.
 * 5. Only the owner removes files of others, and only dead ones.
 *
 * Not covered: two hosts on one network file system. Windows has no such files: there the lock is a named pipe, which goes with its owner.
 */
import { createHash, randomBytes } from "node:crypto";
import { closeSync, constants, linkSync, openSync, readdirSync, realpathSync, statSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { TidemarkError } from "../errors.ts";

export interface LockHolder {
  readonly pid: number;
  /** RFC 3339. */
  readonly startedAt: string;
  /** Absent for the one that keeps a nats-server. */
  readonly nodeId?: string;
}

export interface DataDirLock {
  release(): Promise<void>;
}

/** A holder that does not answer within this time is alive and stopped, or busy: the lock is its own all the same. */
const ANSWER_TIMEOUT_MS = 5_000;
/** The least bound of the supported systems, its closing zero included, is 104. */
const SOCKET_PATH_MAX_BYTES = 103;
const NUMBERED = /^lock\.([1-9]\d{0,14})$/;
const STARTER = /^\.lock-[0-9a-f]{12}$/;

type Probe = "dead" | "undecided" | LockHolder | "silent";

/**
 * Takes the lock of `folder`, which exists, or fails with `DATA_DIR_LOCKED`, naming the owner.
 * `won` runs under the lock, before anybody is answered, and gives the name to answer with.
 */
export async function lockDataDir(folder: string, won: () => LockHolder): Promise<DataDirLock> {
  return process.platform === "win32" ? lockByName(pipeName(folder), won) : lockByFile(folder, won);
}

/** A lock by a name that the kernel frees with its owner: a named pipe, or on Linux an abstract socket. */
export async function lockByName(name: string, won: () => LockHolder): Promise<DataDirLock> {
  const listener = new Listener();
  try {
    await listener.listen(name);
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE") throw error;
    throw locked(await probe(name));
  }
  try {
    listener.decide(won());
  } catch (error) {
    await listener.close();
    throw error;
  }
  return { release: () => listener.close() };
}

async function lockByFile(folder: string, won: () => LockHolder): Promise<DataDirLock> {
  const place = openPlace(folder);
  try {
    for (;;) {
      // A socket of its own for each try: closing it sends away those who wait for the decision of a try that was given up.
      const listener = new Listener();
      try {
        const number = await contend(folder, place, listener);
        if (number !== undefined) {
          const holder = won();
          listener.decide(holder);
          await removeDead(folder, place, number, Date.parse(holder.startedAt));
          return lockOf(join(folder, `lock.${number}`), listener);
        }
      } catch (error) {
        await listener.close();
        throw error;
      }
      await listener.close();
    }
  } finally {
    place.close();
  }
}

function lockOf(path: string, listener: Listener): DataDirLock {
  return {
    async release() {
      remove(path);
      await listener.close();
    },
  };
}

/** One try: the number that is the owner's now, or `undefined` when another starter came in between. */
async function contend(folder: string, place: Place, listener: Listener): Promise<number | undefined> {
  const own = `.lock-${randomBytes(6).toString("hex")}`;
  await listener.listen(place.path(own));
  const seen = numbersIn(folder);
  for (const number of seen) refuseOwner(await probe(place.path(`lock.${number}`)));
  const number = Math.max(0, ...seen) + 1;
  const path = join(folder, `lock.${number}`);
  const linked = link(join(folder, own), path);
  remove(join(folder, own));
  if (!linked) return undefined;
  let won = false;
  try {
    const others = numbersIn(folder).filter((other) => other !== number);
    if (others.some((other) => other > number)) return undefined;
    for (const other of others) refuseOwner(await probe(place.path(`lock.${other}`)));
    won = true;
    return number;
  } finally {
    if (!won) remove(path);
  }
}

function refuseOwner(found: Probe): void {
  if (found === "silent" || typeof found === "object") throw locked(found);
}

function locked(found: Probe): TidemarkError {
  if (typeof found === "object") {
    const { pid, startedAt, nodeId } = found;
    return new TidemarkError(
      "DATA_DIR_LOCKED",
      `Process ${pid} (${nodeId === undefined ? "it runs the nats-server" : `node ${nodeId}`}), started at ${startedAt}, holds the lock.`,
    );
  }
  return new TidemarkError("DATA_DIR_LOCKED", "A process that does not answer holds the lock.");
}

/**
 * Files of killed processes. A starter that has bound its own name and does not listen yet looks dead as well,
 * so those names are left alone for a minute.
 */
async function removeDead(folder: string, place: Place, own: number, now: number): Promise<void> {
  for (const name of readdirSync(folder)) {
    const number = NUMBERED.exec(name)?.[1];
    const removable = number === undefined ? STARTER.test(name) && isOlder(join(folder, name), now - 60_000) : Number(number) !== own;
    if (removable && (await probe(place.path(name))) === "dead") remove(join(folder, name));
  }
}

function isOlder(path: string, time: number): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY) < time;
}

/** A server that keeps its callers waiting until it is decided whether it is the owner. */
class Listener {
  readonly #server: Server;
  readonly #callers = new Set<Socket>();
  #line: string | undefined;

  constructor() {
    this.#server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("close", () => this.#callers.delete(socket));
      this.#callers.add(socket);
      if (this.#line !== undefined) socket.end(this.#line);
    });
    // The lock lasts as long as the process and does not make it last.
    this.#server.unref();
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(path, () => {
        this.#server.removeListener("error", reject);
        resolve();
      });
    });
  }

  decide(holder: LockHolder): void {
    this.#line = `${JSON.stringify(holder)}\n`;
    for (const socket of this.#callers) socket.end(this.#line);
  }

  close(): Promise<void> {
    for (const socket of this.#callers) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

function probe(path: string): Promise<Probe> {
  return new Promise((resolve) => {
    let text = "";
    let connected = false;
    const socket = connect(path, () => {
      connected = true;
    });
    const timer = setTimeout(() => done("silent"), ANSWER_TIMEOUT_MS);
    const done = (found: Probe) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(found);
    };
    socket.setEncoding("utf8");
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", (error) => {
      const code = codeOf(error);
      if (connected || code === "ECONNRESET") done("undecided");
      // Any other refusal (a full backlog, say) comes from a socket that somebody listens on.
      else done(code === "ECONNREFUSED" || code === "ENOENT" ? "dead" : "silent");
    });
    socket.on("close", () => done(text === "" ? "undecided" : (holderIn(text) ?? "silent")));
  });
}

function holderIn(line: string): LockHolder | undefined {
  if (!line.endsWith("\n")) return undefined;
  try {
    return JSON.parse(line) as LockHolder;
  } catch {
    return undefined;
  }
}

interface Place {
  /** Path of a file of the folder that is short enough for a socket. */
  path(name: string): string;
  close(): void;
}

/** On Linux a long folder is named by a descriptor, so that every starter uses the same files whatever path it came by. */
function openPlace(folder: string): Place {
  const longest = join(folder, `lock.${"9".repeat(15)}`);
  if (Buffer.byteLength(longest) <= SOCKET_PATH_MAX_BYTES) return { path: (name) => join(folder, name), close() {} };
  if (process.platform !== "linux") {
    throw new TidemarkError("DATA_DIR_UNWRITABLE", `The path ${folder} is too long for a socket (${SOCKET_PATH_MAX_BYTES} bytes).`);
  }
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: (name) => `/proc/self/fd/${fd}/${name}`, close: () => closeSync(fd) };
}

function pipeName(folder: string): string {
  const id = createHash("sha256").update(realpathSync(folder).toLowerCase()).digest("hex").slice(0, 32);
  return `\\\\.\\pipe\\tidemark-${id}`;
}

function numbersIn(folder: string): number[] {
  return readdirSync(folder)
    .map((name) => Number(NUMBERED.exec(name)?.[1] ?? 0))
    .filter((number) => number > 0);
}

/** False when the number is taken, or one's own file is gone. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST" || codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
