/**
 * Scrubs shards in a process of its own, one after the other. Damaged pages may take that process down or send it in a
 * circle: the shard that it was reading is told of as such, and a new process goes on with the next one.
 */
import { fork } from "node:child_process";
import type { Clock } from "../clock.ts";
import { moduleUrl } from "../threads/thread-call.ts";
import type { FromScrub, ScrubPlace, ScrubTask, ShardScrub } from "./scrub-task.ts";

export interface ScrubbersOptions {
  /** Of a core, above 0 and at most 1. */
  readonly share: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** Told now and then how many rows were read. */
  readonly progress?: (rows: number) => void;
}

/** A process that says nothing for so long has lost its way. A piece takes moments, a look at all rows tells on its way. */
const SILENT_MS = 60_000;

export async function scrubShards(places: readonly ScrubPlace[], options: ScrubbersOptions): Promise<readonly ShardScrub[]> {
  const done: ShardScrub[] = [];
  while (done.length < places.length) {
    options.signal?.throwIfAborted();
    const left = places.slice(done.length);
    const before = done.reduce((sum, { rows }) => sum + rows, 0);
    const end = await runProcess({ places: left, share: options.share }, options, before, (scrub) => done.push(scrub));
    options.signal?.throwIfAborted();
    if (end === undefined || done.length === places.length) continue;
    const { job, shard } = places[done.length]!;
    const detail = `the state cannot be read: ${end}. Its pages are damaged; a node that folds the shard may end the same way`;
    done.push({ job, shard, rows: 0, count: 1, findings: [{ table: null, slot: null, key: null, actor: null, cell: null, detail }] });
  }
  return done;
}

/** Resolves with how it ended, or with `undefined` when it has done all. */
function runProcess(
  task: ScrubTask,
  { clock, signal, progress }: ScrubbersOptions,
  rowsBefore: number,
  onShard: (scrub: ShardScrub) => void,
): Promise<string | undefined> {
  const child = fork(moduleUrl("./scrub-process.ts", import.meta.url), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  let heard = clock.monotonic();
  let left = task.places.length;
  let rows = rowsBefore;
  let silent = false;
  const kill = (): void => void child.kill("SIGKILL");
  const look = setInterval(() => {
    silent = clock.monotonic() - heard > SILENT_MS;
    if (silent) kill();
  }, 1_000);
  signal?.addEventListener("abort", kill, { once: true });
  return new Promise((resolve, reject) => {
    child.on("message", (message: FromScrub) => {
      heard = clock.monotonic();
      if (message.kind === "reading") progress?.(rows + message.rows);
      else {
        left--;
        rows += message.scrubbed.rows;
        const { job, shard } = task.places[message.at]!;
        onShard({ job, shard, ...message.scrubbed });
      }
    });
    child.once("error", reject);
    // Behind the last message, unlike "exit".
    child.once("close", (code, killedBy) => {
      clearInterval(look);
      signal?.removeEventListener("abort", kill);
      if (left === 0) resolve(undefined);
      else
        resolve(
          silent
            ? `it was read for ${SILENT_MS / 1000} s without an end`
            : `the process that read it ended with ${killedBy ?? `exit code ${code}`}`,
        );
    });
    child.send(task, (error) => {
      if (error !== null && error !== undefined) kill();
    });
  });
}
