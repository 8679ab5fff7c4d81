/**
 * Work on state that may be damaged, in a process of its own at the lowest priority: pages that LMDB stumbles over end that
 * process and nothing else. It is killed when it says nothing for too long, or when it is no longer wanted.
 */
import { fork } from "node:child_process";
import type { Clock } from "../clock.ts";
import { moduleUrl } from "../threads/thread-call.ts";

export interface ApartOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  /** Default 60 s. */
  readonly silentMs?: number | undefined;
}

/** A process that says nothing for so long has lost its way: a piece of its work takes moments. */
const SILENT_MS = 60_000;
const LOOK_MS = 1_000;

/** How a process ended that did not do so by itself. */
export interface ApartEnd {
  readonly how: string;
  /** It was killed because it said nothing for too long, which a machine that is short of everything may cause too. */
  readonly silent: boolean;
}

/** Resolves when it has ended: with how, or with `undefined` when it did so by itself. */
export function runApart<Message>(
  module: string,
  task: object,
  { clock, signal, silentMs = SILENT_MS }: ApartOptions,
  onMessage: (message: Message) => void,
): Promise<ApartEnd | undefined> {
  // As nodes run: what code makes of a date must not depend on where it is run.
  const env = { ...process.env, TZ: "UTC", LC_ALL: "C", LANG: "C" };
  const child = fork(moduleUrl(module, import.meta.url), { env, stdio: ["ignore", "ignore", "inherit", "ipc"] });
  let heard = clock.monotonic();
  let silent = false;
  const kill = (): void => void child.kill("SIGKILL");
  const look = setInterval(() => {
    silent ||= clock.monotonic() - heard > silentMs;
    if (silent) kill();
  }, LOOK_MS);
  signal?.addEventListener("abort", kill, { once: true });
  if (signal?.aborted === true) kill();
  return new Promise<ApartEnd | undefined>((resolve, reject) => {
    child.on("message", (message: Message) => {
      heard = clock.monotonic();
      onMessage(message);
    });
    child.once("error", reject);
    // Behind the last message, unlike "exit".
    child.once("close", (code, killedBy) => {
      if (code === 0) resolve(undefined);
      else if (silent) resolve({ how: `it went on for ${silentMs / 1000} s without a word`, silent });
      else resolve({ how: `its process ended with ${killedBy ?? `exit code ${code}`}`, silent });
    });
    // Its end tells more than that it could not be told its task.
    child.send(task, () => {});
  }).finally(() => {
    clearInterval(look);
    signal?.removeEventListener("abort", kill);
  });
}
