/**
 * Does a history give the same bytes however it is folded? Folds it straight, then again in the same thread (module
 * state that outlives a fold shows), with a crash between every two units (state outside the rows shows), and in a
 * second, fresh thread. What a guard caught counts as a difference too: without the guard it would have been one.
 */
import { Worker } from "node:worker_threads";
import { type ErrorRecord, TidemarkError } from "../errors.ts";
import { moduleUrl } from "../threads/thread-call.ts";
import type { Interruptions } from "./fold-history.ts";
import type { Replayed, ReplayTask } from "./replay-worker.ts";

export interface Difference {
  /** Which way of folding differed from the straight one. */
  readonly way: string;
  /** Number of the first output that differs; 0 when only the state does. */
  readonly output: number;
  readonly expected: string;
  readonly actual: string;
}

export type Verdict =
  | { readonly ok: true; readonly outputs: number; readonly stateHash: string }
  | { readonly ok: false; readonly difference: Difference };

const STRAIGHT: Interruptions = {};
const CRASHES: Interruptions = { commitEveryUnits: 1, crash: true };

/**
 * Rejects with CODE_UNAVAILABLE when the history goes on behind the epoch entry of other code: that part is not this build's to
 * verify. The message names the entry; cut the history there to verify the part before it.
 */
export async function verifyReplay(history: Omit<ReplayTask, "ways">): Promise<Verdict> {
  const [straight, again, crashed] = (await replay({ ...history, ways: [STRAIGHT, STRAIGHT, CRASHES] })) as [Replayed, Replayed, Replayed];
  const [fresh] = (await replay({ ...history, ways: [CRASHES] })) as [Replayed];
  const difference =
    caught(straight) ??
    compare("folded again in the same thread", straight, again) ??
    compare("with a crash between every two units", straight, crashed) ??
    compare("in a fresh thread with a crash between every two units", straight, fresh);
  if (difference !== undefined) return { ok: false, difference };
  return { ok: true, outputs: straight.outputs.length, stateHash: straight.stateHash };
}

function replay(task: ReplayTask): Promise<Replayed[]> {
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
  return { way: "a guard caught it", output: at + 1, expected: "a handler that uses what ctx gives", actual: outputs[at]!.text };
}

function compare(way: string, expected: Replayed, actual: Replayed): Difference | undefined {
  const count = Math.max(expected.outputs.length, actual.outputs.length);
  for (let i = 0; i < count; i++) {
    const a = expected.outputs[i];
    const b = actual.outputs[i];
    if (a?.chain === b?.chain) continue;
    return { way, output: i + 1, expected: a?.text ?? "no output", actual: b?.text ?? "no output" };
  }
  if (expected.stateHash === actual.stateHash) return undefined;
  return { way, output: 0, expected: `state hash ${expected.stateHash}`, actual: `state hash ${actual.stateHash}` };
}
