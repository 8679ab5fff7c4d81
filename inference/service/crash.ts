/**
 * Failures that say that a process ended, told from all others. Whoever asked marks such a call as a suspect and asks
 * again with `alone: true`: with others in the process a death says nothing about any of them.
 */
import { failure, type InferenceFailure } from "../failures.ts";
import type { Inference } from "../inference.ts";

/** `with-others`: any of those that were under way may have ended the process. `alone`: nothing else was under way in it. */
export type CrashKind = "with-others" | "alone";

/** `again` is true: one death convicts nobody, for a process may be ended from outside. */
export interface CrashFailure extends InferenceFailure {
  readonly code: "CRASHED";
  readonly crash: CrashKind;
}

export function crashFailure(crash: CrashKind, how: string): CrashFailure {
  const message = crash === "alone" ? `The process that ran it alone ended (${how}).` : `The process ended with this under way (${how}).`;
  return { ...failure("CRASHED", message, { again: true }), code: "CRASHED", crash };
}

/** `undefined` when no process ended, and for a conviction, which is final. */
export function crashOf(inference: Inference): CrashKind | undefined {
  return "failed" in inference && inference.failed.code === "CRASHED" ? (inference.failed as Partial<CrashFailure>).crash : undefined;
}
