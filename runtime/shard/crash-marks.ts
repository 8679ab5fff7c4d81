/**
 * Crash marks: which entries a shard was folding when its process died, kept in a small file outside the state.
 *
 * A handler that never returns, or takes the process down, would be met again by every restart. After two deaths in
 * overlapping ranges the shard goes on unit by unit, writing down each; a unit that the process dies in twice is
 * convicted, and its skip is appended. A kill from outside may hit any unit, but not the same one twice running.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { Cursor } from "../../actors/fold/meta.ts";

export interface CrashMarks {
  /** Each unit is to be announced by `unit`. */
  readonly stepping: boolean;
  begin(from: Cursor, toSequence: number): void;
  /** `name` as skips name units; `outputs`: the shard's count before it. */
  unit(name: string, outputs: number): void;
  end(): void;
}

export interface Conviction {
  readonly unit: string;
  /** Outputs of the shard before the unit: a skip is right only while the stream has no more. */
  readonly outputs: number;
}

interface Mark {
  readonly fromSequence: number;
  readonly toSequence: number;
  /** Deaths known in ranges that overlap this one. */
  readonly deaths: number;
  readonly unit: string;
  readonly unitOutputs: number;
  readonly unitDeaths: number;
}

const RECORD_BYTES = 2_048;
const STEP_AFTER_DEATHS = 2;
const CONVICT_AFTER_DEATHS = 2;
const CLEAN = Buffer.alloc(RECORD_BYTES, " ");

/** For folds whose process no handler can take down unnoticed: the test kit and the simulator. */
export const noCrashMarks: CrashMarks = { stepping: false, begin() {}, unit() {}, end() {} };

export class FileCrashMarks implements CrashMarks {
  stepping = false;
  /** The unit that the process died in twice, when the last death convicted one. */
  readonly conviction: Conviction | undefined;
  readonly #file: number;
  readonly #record = Buffer.alloc(RECORD_BYTES, " ");
  #died: Mark | undefined;
  #current: Mark | undefined;

  constructor(path: string) {
    this.#died = readMark(path);
    this.#file = openSync(path, "w");
    const died = this.#died;
    if (died !== undefined && died.unitDeaths >= CONVICT_AFTER_DEATHS) {
      this.conviction = { unit: died.unit, outputs: died.unitOutputs };
      this.#died = undefined;
    }
    if (this.#died !== undefined) this.#write(this.#died);
  }

  begin(from: Cursor, toSequence: number): void {
    const died = this.#died;
    const near = died !== undefined && from.sequence <= died.toSequence;
    if (died !== undefined && !near) this.#died = undefined;
    this.stepping = near && died.deaths >= STEP_AFTER_DEATHS;
    const carried = near ? died : undefined;
    this.#current = {
      fromSequence: from.sequence,
      toSequence: Math.max(toSequence, carried?.toSequence ?? 0),
      deaths: carried?.deaths ?? 0,
      unit: carried?.unit ?? "",
      unitOutputs: carried?.unitOutputs ?? 0,
      unitDeaths: carried?.unitDeaths ?? 0,
    };
    this.#write(this.#current);
  }

  unit(name: string, outputs: number): void {
    const known = this.#died?.unit === name ? this.#died.unitDeaths : 0;
    this.#write({ ...this.#current!, unit: name, unitOutputs: outputs, unitDeaths: known }, true);
  }

  end(): void {
    if (this.#died === undefined) writeSync(this.#file, CLEAN, 0, RECORD_BYTES, 0);
    else this.#write(this.#died);
  }

  close(): void {
    writeSync(this.#file, CLEAN, 0, RECORD_BYTES, 0);
    closeSync(this.#file);
  }

  /** `inUnit`: dying now counts against the unit. */
  #write(mark: Mark, inUnit = false): void {
    this.#record.fill(" ");
    this.#record.write(JSON.stringify({ ...mark, inStep: mark === this.#current || inUnit, inUnit }));
    writeSync(this.#file, this.#record, 0, RECORD_BYTES, 0);
  }
}

/** The mark of a death, its counts already including that death; `undefined` after a clean end. */
function readMark(path: string): Mark | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
  if (text === "") return undefined;
  try {
    const { inStep, inUnit, ...mark } = JSON.parse(text) as Mark & { readonly inStep: boolean; readonly inUnit: boolean };
    return { ...mark, deaths: mark.deaths + (inStep ? 1 : 0), unitDeaths: mark.unitDeaths + (inUnit ? 1 : 0) };
  } catch {
    return undefined; // Torn by the death itself: one death fewer is known.
  }
}
