/**
 * Crash marks: which entries a shard was folding when its process died, kept in a small file outside the state.
 *
 * A handler that never returns, or takes the process down, would be met again by every restart. A range ahead of the
 * fold is written down, once for some thousand entries. After two deaths in overlapping ranges the shard goes on unit
 * by unit, writing down each; a unit that the process dies in twice is convicted, and its skip is appended. A kill from
 * outside may hit any unit, but not the same one twice running.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { Cursor } from "../../actors/fold/meta.ts";

export interface CrashMarks {
  /** Each unit is to be announced by `unit`. */
  readonly stepping: boolean;
  /** A step begins at `from`; it reaches `toSequence` at most. */
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
/** How far ahead of a step its range is written, so that the next steps need not write. */
const RANGE_SEQUENCES = 4_096;
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
  #closed = false;

  constructor(path: string) {
    this.#died = readMark(path);
    this.#file = openSync(path, "w");
    const died = this.#died;
    if (died !== undefined && died.unitDeaths >= CONVICT_AFTER_DEATHS) {
      this.conviction = { unit: died.unit, outputs: died.unitOutputs };
      this.#died = undefined;
    }
    // Kept as it is until the first step: a death before that is not the entries' fault.
    if (this.#died !== undefined) this.#write({ ...this.#died, deaths: this.#died.deaths - 1 }, false);
  }

  begin(from: Cursor, toSequence: number): void {
    const died = this.#died;
    const near = died !== undefined && from.sequence <= died.toSequence;
    if (died !== undefined && !near) this.#died = undefined;
    this.stepping = near && died.deaths >= STEP_AFTER_DEATHS;
    const { fromSequence = 0, toSequence: marked = 0, deaths = -1 } = this.#current ?? {};
    const carried = near ? died : undefined;
    if (from.sequence >= fromSequence && toSequence <= marked && deaths === (carried?.deaths ?? 0)) return;
    this.#current = {
      fromSequence: from.sequence,
      toSequence: carried?.toSequence ?? Math.max(toSequence, from.sequence + RANGE_SEQUENCES),
      deaths: carried?.deaths ?? 0,
      unit: carried?.unit ?? "",
      unitOutputs: carried?.unitOutputs ?? 0,
      unitDeaths: carried?.unitDeaths ?? 0,
    };
    if (this.#current.toSequence < toSequence) this.#current = { ...this.#current, toSequence };
    this.#write(this.#current, false);
  }

  unit(name: string, outputs: number): void {
    const known = this.#died?.unit === name ? this.#died.unitDeaths : 0;
    this.#write({ ...this.#current!, unit: name, unitOutputs: outputs, unitDeaths: known }, true);
  }

  end(): void {
    if (this.stepping) this.#write(this.#current!, false);
  }

  /** Done twice it is done once: by then the descriptor may be another file's. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // One that never began says nothing of the deaths before it, as where the start was refused.
    const isUntried = this.#died !== undefined && this.#current === undefined;
    if (!isUntried) writeSync(this.#file, CLEAN, 0, RECORD_BYTES, 0);
    closeSync(this.#file);
  }

  /** `inUnit`: dying now counts against the unit too, not only against the range. */
  #write(mark: Mark, inUnit: boolean): void {
    this.#record.fill(" ");
    this.#record.write(JSON.stringify({ ...mark, inUnit }));
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
    const { inUnit, ...mark } = JSON.parse(text) as Mark & { readonly inUnit: boolean };
    return { ...mark, deaths: mark.deaths + 1, unitDeaths: mark.unitDeaths + (inUnit ? 1 : 0) };
  } catch {
    return undefined; // Torn by the death itself: one death fewer is known.
  }
}
