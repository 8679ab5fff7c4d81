/**
 * Does a history give the same bytes however it is folded? Folds it with a commit behind every unit, again in the
 * same thread (module state that outlives a fold shows), with a crash between every two units (state outside the rows
 * shows), straight to its end, and in a second, fresh thread. What a guard caught counts as a difference too: without
 * the guard it would have been one.
 */
import { Worker } from "node:worker_threads";
import { type ErrorRecord, TidemarkError } from "../errors.ts";
import { moduleUrl } from "../threads/thread-call.ts";
import type { History, Interruptions } from "./fold-history.ts";
import type { ReplayTask } from "./replay-worker.ts";
import { aboutOutput, type Difference, firstDifference, type Replayed, replay } from "./replayed.ts";

export type Verdict =
  | { readonly ok: true; readonly outputs: number; readonly stateHash: string | undefined }
  | { readonly ok: false; readonly difference: Difference };

const STRAIGHT: Interruptions = {};
const COMMITS: Interruptions = { commitEveryUnits: 1 };
const CRASHES: Interruptions = { commitEveryUnits: 1, crash: true };
const WAYS = [COMMITS, COMMITS, CRASHES, STRAIGHT] as const;
type Ways = [first: Replayed, again: Replayed, crashed: Replayed, straight: Replayed];

/**
 * Folds in fresh threads. `recorded`: what the history gave when it was made, where that is known.
 * Rejects with CONFIG_INVALID when the app cannot be loaded or lacks the job, and with CODE_UNAVAILABLE when the history goes on
 * behind the epoch entry of other code: that part is not this build's to verify. The message names the entry; cut the history
 * there to verify the part before it.
 */
export async function verifyReplay(history: Omit<ReplayTask, "ways">, recorded?: Replayed): Promise<Verdict> {
  const here = (await replayInThread({ ...history, ways: WAYS })) as Ways;
  const [fresh] = (await replayInThread({ ...history, ways: [CRASHES] })) as [Replayed];
  return verdictOn(here, fresh, recorded);
}

/** The same in this thread alone: what modules keep between two folds may go unseen. */
export function verifyReplayHere(history: History, recorded?: Replayed): Verdict {
  const here = WAYS.map((way) => replay(history, way)) as Ways;
  return verdictOn(here, undefined, recorded);
}

function verdictOn([first, again, crashed, straight]: Ways, fresh: Replayed | undefined, recorded: Replayed | undefined): Verdict {
  const difference =
    caught(first) ??
    firstDifference("folded again in the same thread", first, again) ??
    firstDifference("with a crash between every two units", first, crashed) ??
    firstDifference("without a commit between the units", first, straight) ??
    (fresh && firstDifference("in a fresh thread with a crash between every two units", first, fresh)) ??
    (recorded && firstDifference("folded again", recorded, first));
  if (difference !== undefined) return { ok: false, difference };
  return { ok: true, outputs: first.outputs.length, stateHash: first.stateHash };
}

function replayInThread(task: ReplayTask): Promise<Replayed[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(moduleUrl("./replay-worker.ts", import.meta.url), { workerData: task, name: "replay" });
    worker.once("message", (answer: Replayed[] | ErrorRecord) => {
      if (Array.isArray(answer)) resolve(answer);
      else reject(new TidemarkError(answer.code, answer.detail));
    });
    worker.once("error", reject);
    worker.once("exit", (code) => reject(new Error(`the replay thread ended with code ${code}`)));
  });
}

/** The first output in which a guard says what it caught. */
function caught({ outputs }: Replayed): Difference | undefined {
  const at = outputs.findIndex(({ text }) => text.includes('"code":"NONDETERMINISTIC"'));
  if (at === -1) return undefined;
  const output = outputs[at]!;
  return {
    way: "a guard caught it",
    output: at + 1,
    ...aboutOutput(at + 1, output),
    expected: "a handler that uses what ctx gives",
    actual: output.text,
  };
}
