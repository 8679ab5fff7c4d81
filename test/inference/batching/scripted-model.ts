/** A model whose runs end when a test says so, and how. */
import type { ModelAnswer, ModelInput, ServedModel } from "../../../inference/inference.ts";

interface ScriptedRun {
  readonly values: readonly unknown[];
  readonly signal: AbortSignal;
  /** Answers each with its own value. */
  end(): void;
  fail(error: unknown): void;
  answer(answers: readonly ModelAnswer[]): void;
}

export class ScriptedModel implements ServedModel {
  readonly batchMax: number;
  readonly runs: ScriptedRun[] = [];
  closed = false;

  constructor(batchMax = 4) {
    this.batchMax = batchMax;
  }

  run(inputs: readonly ModelInput[], signal: AbortSignal): Promise<readonly ModelAnswer[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly ModelAnswer[]>();
    const values = inputs.map(({ value }) => value);
    this.runs.push({ values, signal, end: () => resolve(values.map((output) => ({ output, units: 1 }))), fail: reject, answer: resolve });
    return promise;
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  get batches(): readonly (readonly unknown[])[] {
    return this.runs.map(({ values }) => values);
  }
}
