/** Differences as they are found: all of them as lines of a file, where one is wanted, and the first of each kind kept. */
import { closeSync, openSync, writeSync } from "node:fs";
import { TidemarkError } from "../errors.ts";
import type { OutputEvent } from "./compared-output.ts";
import type { OutputDifference } from "./output-diff.ts";
import type { DifferenceSample } from "./replay-task.ts";

const SAMPLES_OF_A_CLASS = 5;

export class DifferenceLog {
  readonly samples: DifferenceSample[] = [];
  readonly #file: number | undefined;

  /** `path`: a file that other threads may append to as well; a line is written whole. Fails with INPUT_INVALID. */
  constructor(path: string | undefined) {
    try {
      this.#file = path === undefined ? undefined : openSync(path, "a");
    } catch (error) {
      throw new TidemarkError("INPUT_INVALID", `${path} cannot be written: ${(error as Error).message}.`, { cause: error });
    }
  }

  add(difference: OutputDifference): void {
    if (this.#file !== undefined) writeSync(this.#file, `${JSON.stringify(difference)}\n`);
    const { class: kind, type, key, fields = [], published, replayed } = difference;
    if (this.samples.filter((sample) => sample.class === kind).length >= SAMPLES_OF_A_CLASS) return;
    const { id } = (published ?? replayed) as Partial<OutputEvent>;
    this.samples.push({ class: kind, type, key, fields, output: id ?? "a foreign message" });
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }
}
