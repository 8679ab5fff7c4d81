/**
 * Results of calls as a journal entry carries them: many in one, each with the call's id and the hash of its input.
 * The entry names the term of the owner that appended it.
 */
import type { CallFailure } from "../model/effect.ts";
import { ERROR_TEXT_MAX_CHARS, FAILURE_CODE_MAX_CHARS, MODEL_NAME_MAX_CHARS, RESULTS_MAX } from "./bounds.ts";

/** What a model said of its answer; of a failure, how long it took. */
export interface InferenceNote {
  /** Model and version that answered: the one asked, or its fallback. */
  readonly model: string;
  readonly version: number;
  /** From 0 to 1; `null` for a model that gives none, and for a failure. */
  readonly confidence: number | null;
  /** Milliseconds. */
  readonly latencyMs: number;
  readonly cached: "no" | "exact" | "semantic";
  /** What it cost, in the model's own unit. */
  readonly units: number;
}

export type Outcome = ({ readonly output: unknown } | { readonly failed: CallFailure }) & { readonly inference?: InferenceNote };

export type CallResult = Outcome & {
  /** Id of the call. */
  readonly call: string;
  /** Hash of its input. */
  readonly input: string;
};

export interface ResultEntry {
  readonly kind: "result";
  /** Sequence of the owner entry of the one who appended it. */
  readonly term: number;
  readonly results: readonly CallResult[];
}

/** At most 10,000 results, and together no more than a message of the log may have. Codes and messages are cut to their bounds. */
export function writeResults(term: number, results: readonly CallResult[]): string {
  if (results.length > RESULTS_MAX) throw new RangeError(`an entry has at most ${RESULTS_MAX} results, not ${results.length}`);
  const bounded = results.map((result) => {
    const { call, input, inference } = result;
    const note = inference === undefined ? {} : { inference };
    if (!("failed" in result)) return { call, input, output: result.output ?? null, ...note };
    const code = result.failed.code.slice(0, FAILURE_CODE_MAX_CHARS);
    const message = result.failed.message.slice(0, ERROR_TEXT_MAX_CHARS).toWellFormed();
    return { call, input, failed: { code, message }, ...note };
  });
  return JSON.stringify({ kind: "result", term, results: bounded });
}

/** `undefined` when it is none that this build knows. */
export function readResults({ term, results }: Readonly<Record<string, unknown>>): ResultEntry | undefined {
  if (typeof term !== "number" || !Number.isSafeInteger(term) || term < 1) return undefined;
  if (!Array.isArray(results) || results.length > RESULTS_MAX) return undefined;
  const read: CallResult[] = [];
  for (const value of results as readonly unknown[]) {
    const result = readResult(value);
    if (result === undefined) return undefined;
    read.push(result);
  }
  return { kind: "result", term, results: read };
}

function readResult(value: unknown): CallResult | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { call, input } = value as Readonly<Record<string, unknown>>;
  const outcome = readOutcome(value);
  if (typeof call !== "string" || typeof input !== "string" || outcome === undefined) return undefined;
  return { call, input, ...outcome };
}

/** An output, or why there is none: one of them. */
export function readOutcome(value: object): Outcome | undefined {
  const outcome = readBare(value);
  const { inference } = value as Readonly<Record<string, unknown>>;
  if (outcome === undefined || inference === undefined) return outcome;
  const note = readNote(inference);
  return note === undefined ? undefined : { ...outcome, inference: note };
}

function readNote(value: unknown): InferenceNote | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { model, version, confidence, latencyMs, cached, units } = value as Readonly<Record<string, unknown>>;
  if (typeof model !== "string" || model === "" || model.length > MODEL_NAME_MAX_CHARS || !model.isWellFormed()) return undefined;
  if (!isAmount(version) || !Number.isSafeInteger(version) || !isAmount(latencyMs) || !isAmount(units)) return undefined;
  if (confidence !== null && !(isAmount(confidence) && confidence <= 1)) return undefined;
  if (cached !== "no" && cached !== "exact" && cached !== "semantic") return undefined;
  return { model, version, confidence, latencyMs, cached, units };
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

function readBare(value: object): Outcome | undefined {
  const { output, failed } = value as Readonly<Record<string, unknown>>;
  if (failed === undefined) return output === undefined ? undefined : { output };
  if (output !== undefined || typeof failed !== "object" || failed === null) return undefined;
  const { code, message } = failed as Readonly<Record<string, unknown>>;
  if (typeof code !== "string" || code === "" || code.length > FAILURE_CODE_MAX_CHARS) return undefined;
  if (typeof message !== "string" || message.length > ERROR_TEXT_MAX_CHARS) return undefined;
  return { failed: { code, message } };
}
