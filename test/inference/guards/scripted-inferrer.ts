/** An inferrer for tests of what is around one: it answers as it is told, at once or when it is told to, and keeps what it was asked. */
import { failure, type InferenceFailure, type InferenceFailureCode } from "../../../inference/failures.ts";
import type { Inference, InferenceRequest, Inferred, Inferrer } from "../../../inference/inference.ts";

export function requestOf(more: Partial<InferenceRequest> = {}): InferenceRequest {
  return { id: "call.1", model: "scores", version: 1, input: "{}", deadline: 60_000, ...more };
}

export function answerOf(output: unknown, more: Partial<Inferred> = {}): Inferred {
  return { output, confidence: null, model: "scores", version: 1, latencyMs: 1, cached: "no", units: 5, ...more };
}

export function failedWith(code: InferenceFailureCode, more: Partial<InferenceFailure> = {}): Inference {
  return { failed: { ...failure(code, "It failed."), ...more } };
}

/** The output as JSON, or the code. */
export function said(inference: Inference): string {
  return "failed" in inference ? inference.failed.code : JSON.stringify(inference.output);
}

/** Answers with the next of what it was given, the last one for ever. */
export class Scripted implements Inferrer {
  readonly asked: InferenceRequest[] = [];
  readonly #script: readonly (Inference | (() => Inference))[];

  constructor(...script: readonly (Inference | (() => Inference))[]) {
    this.#script = script;
  }

  async infer(request: InferenceRequest): Promise<Inference> {
    const next = this.#script[Math.min(this.asked.length, this.#script.length - 1)]!;
    this.asked.push(request);
    return typeof next === "function" ? next() : next;
  }
}

interface Held {
  readonly request: InferenceRequest;
  readonly signal: AbortSignal;
  settle(inference: Inference): void;
  fail(error: Error): void;
}

/** Answers when the test says so; when it is aborted, with a timeout at once. */
export class Holding implements Inferrer {
  readonly held: Held[] = [];

  infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    return new Promise((settle, fail) => {
      this.held.push({ request, signal, settle, fail });
      signal.addEventListener("abort", () => settle(failedWith("TIMEOUT")));
    });
  }
}

/** A clock that a test moves by hand; who sleeps wakes when it has come to the time, or is aborted. */
export class HandClock {
  time = 0;
  readonly #sleeping = new Set<{ readonly until: number; readonly wake: () => void }>();

  now = (): number => this.time;

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper = {
        until: this.time + ms,
        wake: () => {
          this.#sleeping.delete(sleeper);
          resolve();
        },
      };
      this.#sleeping.add(sleeper);
      signal.addEventListener("abort", sleeper.wake);
    });
  }

  get sleeping(): number {
    return this.#sleeping.size;
  }

  /** Lets time pass, and all that follows from it at once. */
  async pass(ms: number): Promise<void> {
    this.time += ms;
    for (const sleeper of [...this.#sleeping]) if (sleeper.until <= this.time) sleeper.wake();
    await settled();
  }
}

/** Everything that waits for nothing but its turn has had it. */
export async function settled(): Promise<void> {
  await new Promise(setImmediate);
}

export const NEVER = new AbortController().signal;
