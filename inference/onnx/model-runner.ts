/**
 * A model that is open in this thread: JSON inputs in, JSON answers out, whoever's thread it is. Inputs are put into
 * tensors only as many at a time as one run takes, so that a batch of large ones does not take all memory at once.
 */

import { InferenceError } from "../failures.ts";
import type { ModelAnswer } from "../inference.ts";
import { TRIAL_MS, TRIAL_ROWS, TRIAL_RUNS } from "./bounds.ts";
import { nextRuns, trialFeeds } from "./input-rows.ts";
import { type ModelContent, openContent } from "./model-content.ts";
import type { OnnxSession } from "./onnx-runtime.ts";
import type { OnnxServing } from "./onnx-serving.ts";
import { answersOf } from "./output-rows.ts";
import { planServing, type ServingPlan } from "./serving-plan.ts";

export class ModelRunner {
  readonly #plan: ServingPlan;
  readonly #session: OnnxSession;

  private constructor(plan: ServingPlan, session: OnnxSession) {
    this.#plan = plan;
    this.#session = session;
  }

  /** Throws InferenceError MODEL_HASH or MODEL_REFUSED. */
  static async open(content: ModelContent, serving: OnnxServing): Promise<ModelRunner> {
    const { structure, session } = await openContent(content);
    try {
      return new ModelRunner(planServing(serving, structure), session);
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** An answer for each value. Throws InferenceError when a run failed. When called off, it gives whatever it has. */
  async run(values: readonly unknown[], isCalledOff: () => boolean): Promise<readonly ModelAnswer[]> {
    const answers = new Array<ModelAnswer>(values.length);
    let start = 0;
    while (start < values.length && !isCalledOff()) {
      const { runs, refused, end } = nextRuns(this.#plan, values, start);
      for (const [input, failed] of refused) answers[input] = { failed };
      for (const { feeds, rows, inputs } of runs) {
        if (isCalledOff()) break;
        const tensors = await this.#session.run(feeds, this.#plan.fetches);
        const own = answersOf(this.#plan, tensors, rows, inputs.length);
        inputs.forEach((input, row) => {
          answers[input] = own[row]!;
        });
      }
      start = end;
    }
    return answers;
  }

  /**
   * Milliseconds that a batch of `TRIAL_ROWS` takes: the shortest of several, as the others were kept waiting by what
   * else the machine does. `null` when the model does not take zeros, which need not be a fault.
   */
  async trialMs(): Promise<number | null> {
    const { rowsFixed, rowsMax } = this.#plan;
    const rows = rowsFixed ?? Math.min(TRIAL_ROWS, rowsMax);
    const feeds = trialFeeds(this.#plan, rows);
    let shortest = Number.POSITIVE_INFINITY;
    const start = performance.now();
    try {
      for (let run = 0; run < TRIAL_RUNS && performance.now() - start < TRIAL_MS; run += 1) {
        const before = performance.now();
        await this.#session.run(feeds, this.#plan.fetches);
        shortest = Math.min(shortest, performance.now() - before);
      }
    } catch (error) {
      if (error instanceof InferenceError) return null;
      throw error;
    }
    return shortest * Math.max(1, TRIAL_ROWS / rows);
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}
