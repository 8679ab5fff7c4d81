/**
 * Single inputs become batches of one model. An input that finds the model idle is run at once; while a batch runs, the
 * next one gathers. With `waitMs`, batches that are not full start at least so far apart, so that an input waits for
 * others no longer than that.
 *
 * Every input is answered exactly once: by the model, by its deadline, or by its signal. A batch that failed as a whole
 * is run again row by row, once, when one of its rows may have been the reason.
 */
import { failure, InferenceError, type InferenceFailure } from "../failures.ts";
import type { ModelAnswer, ModelInput, ServedModel } from "../inference.ts";
import { type BatchClock, systemBatchClock } from "./batch-clock.ts";
import { CONCURRENCY_MAX, DEADLINE_EVERY_MS, DEADLINE_SLACK_MS, WAIT_MAX_MS, WAITING_MAX } from "./bounds.ts";

export interface BatchingLimits {
  /** Milliseconds that an input may wait for others to be run with; 0: it waits only while the model is busy. */
  readonly waitMs?: number;
  /** Inputs that may wait; 4,096. */
  readonly waitingMax?: number;
  /** Calls of the model at a time; 1. */
  readonly concurrency?: number;
}

export interface BatchingFigures {
  readonly batches: number;
  /** Inputs that were run in them. */
  readonly rows: number;
  /** Inputs that were run again by themselves. */
  readonly singly: number;
  readonly waiting: number;
  readonly running: number;
}

interface Entry {
  readonly input: ModelInput;
  readonly deadline: number;
  readonly alone: boolean;
  readonly answer: (answer: ModelAnswer) => void;
  readonly fault: (error: unknown) => void;
  batch: Batch | undefined;
}

interface Batch {
  readonly abort: AbortController;
  /** Of its rows those that are not answered yet. */
  open: number;
  /** The deadline of one of them passed while it ran. */
  late: boolean;
}

export class MicroBatching {
  readonly #model: ServedModel;
  readonly #waitMs: number;
  readonly #waitingMax: number;
  readonly #concurrency: number;
  readonly #clock: BatchClock;
  /** Not answered yet; those that wait are also in `#waiting`, in their order. */
  readonly #open = new Set<Entry>();
  readonly #waiting = new Set<Entry>();
  #running = 0;
  #runsAlone = false;
  #lastStart = Number.NEGATIVE_INFINITY;
  #dispatchSoon = false;
  #cancelWait: (() => void) | undefined;
  #deadlineTimer: { readonly due: number; readonly cancel: () => void } | undefined;
  #batches = 0;
  #rows = 0;
  #singly = 0;
  #closed: (() => void) | undefined;

  constructor(model: ServedModel, limits: BatchingLimits = {}, clock: BatchClock = systemBatchClock) {
    const { waitMs = 0, waitingMax = WAITING_MAX, concurrency = 1 } = limits;
    if (!(waitMs >= 0 && waitMs <= WAIT_MAX_MS)) throw new RangeError(`waitMs must be from 0 to ${WAIT_MAX_MS}`);
    if (!(waitingMax >= 1 && waitingMax <= WAITING_MAX)) throw new RangeError(`waitingMax must be from 1 to ${WAITING_MAX}`);
    if (!(concurrency >= 1 && concurrency <= CONCURRENCY_MAX)) throw new RangeError(`concurrency must be from 1 to ${CONCURRENCY_MAX}`);
    this.#model = model;
    this.#waitMs = waitMs;
    this.#waitingMax = waitingMax;
    this.#concurrency = concurrency;
    this.#clock = clock;
  }

  get figures(): BatchingFigures {
    return { batches: this.#batches, rows: this.#rows, singly: this.#singly, waiting: this.#waiting.size, running: this.#running };
  }

  /** `alone`: nothing runs beside it. Rejects only with what is a fault of Tidemark. */
  answer(input: ModelInput, deadline: number, signal: AbortSignal, alone = false): Promise<ModelAnswer> {
    if (this.#closed !== undefined) return failed(failure("MODEL_UNKNOWN", "this version is no longer served here", { again: true }));
    if (signal.aborted) return failed(CALLED_OFF);
    if (deadline <= this.#clock.now()) return failed(TOO_LATE);
    if (this.#waiting.size >= this.#waitingMax) {
      return failed(failure("OVERLOADED", `${this.#waitingMax} inputs wait for the model`, { again: true }));
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#settle(entry, { failed: CALLED_OFF });
      const leave = () => signal.removeEventListener("abort", onAbort);
      const entry: Entry = {
        input,
        deadline,
        alone,
        batch: undefined,
        answer(answer) {
          leave();
          resolve(answer);
        },
        fault(error) {
          leave();
          reject(error);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#open.add(entry);
      this.#waiting.add(entry);
      this.#watch(deadline);
      this.#soon();
    });
  }

  /** Takes no more, waits until all that came before are answered, and closes the model. */
  async close(): Promise<void> {
    if (this.#closed === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#closed = resolve;
      if (this.#open.size === 0) resolve();
      await promise;
    }
    this.#cancelWait?.();
    this.#deadlineTimer?.cancel();
    await this.#model.close();
  }

  #soon(): void {
    if (this.#dispatchSoon) return;
    this.#dispatchSoon = true;
    this.#clock.soon(() => {
      this.#dispatchSoon = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    const now = this.#clock.now();
    while (this.#waiting.size > 0 && this.#running < this.#concurrency && !this.#runsAlone) {
      const [first] = this.#waiting;
      if (first!.alone) {
        if (this.#running > 0) return;
        this.#start([first!], now);
        continue;
      }
      // One whose deadline comes soon does not wait for others.
      const due = Math.min(this.#lastStart + this.#waitMs, first!.deadline - this.#waitMs);
      if (this.#waiting.size < this.#model.batchMax && now < due) {
        this.#cancelWait ??= this.#clock.after(due - now, () => {
          this.#cancelWait = undefined;
          this.#dispatch();
        });
        return;
      }
      this.#start(this.#nextBatch(), now);
    }
  }

  #nextBatch(): readonly Entry[] {
    const batch: Entry[] = [];
    for (const entry of this.#waiting) {
      if (entry.alone || batch.length === this.#model.batchMax) break;
      batch.push(entry);
    }
    return batch;
  }

  #start(entries: readonly Entry[], now: number): void {
    for (const entry of entries) this.#waiting.delete(entry);
    const live = entries.filter((entry) => !this.#isLate(entry));
    if (live.length === 0) return;
    this.#lastStart = now;
    this.#running += 1;
    this.#runsAlone = live[0]!.alone;
    this.#batches += 1;
    this.#rows += live.length;
    void this.#run(live).finally(() => {
      this.#running -= 1;
      this.#runsAlone = false;
      this.#soon();
    });
  }

  async #run(entries: readonly Entry[]): Promise<void> {
    const reason = await this.#runOnce(entries);
    if (reason === undefined) return;
    if (entries.length === 1 || !mayBeOneOfThem(reason)) {
      for (const entry of entries) this.#settle(entry, { failed: reason });
      return;
    }
    for (const entry of entries) {
      if (!this.#open.has(entry) || this.#isLate(entry)) continue;
      this.#singly += 1;
      const own = await this.#runOnce([entry]);
      if (own !== undefined) this.#settle(entry, { failed: own });
    }
  }

  /** Why it failed as a whole; `undefined` when each row has its answer. */
  async #runOnce(entries: readonly Entry[]): Promise<InferenceFailure | undefined> {
    const batch: Batch = { abort: new AbortController(), open: entries.length, late: false };
    for (const entry of entries) entry.batch = batch;
    let answers: readonly (ModelAnswer | Error)[];
    try {
      const inputs = entries.map(({ input }) => input);
      answers = await this.#model.run(inputs, batch.abort.signal);
      if (answers.length !== entries.length) throw new Error(`a model gave ${answers.length} answers to ${entries.length} inputs`);
    } catch (error) {
      // Every row is answered: nobody waits for it any more.
      if (batch.abort.signal.aborted) return undefined;
      if (error instanceof InferenceError) return error.failure;
      const fault = error instanceof Error ? error : new Error(String(error));
      answers = entries.map(() => fault);
    } finally {
      for (const entry of entries) entry.batch = undefined;
    }
    entries.forEach((entry, i) => {
      this.#settle(entry, answers[i]!);
    });
    return undefined;
  }

  #settle(entry: Entry, answer: ModelAnswer | Error): void {
    if (!this.#open.delete(entry)) return;
    this.#waiting.delete(entry);
    if (answer instanceof Error) entry.fault(answer);
    else entry.answer(answer);
    const { batch } = entry;
    if (batch !== undefined) {
      batch.open -= 1;
      batch.late ||= this.#clock.now() >= entry.deadline - DEADLINE_SLACK_MS;
      if (batch.open === 0) batch.abort.abort(batch.late ? new DOMException("a deadline passed", "TimeoutError") : undefined);
    }
    if (this.#open.size > 0) return;
    // A timer left behind would keep the process.
    this.#deadlineTimer?.cancel();
    this.#deadlineTimer = undefined;
    this.#closed?.();
  }

  #isLate(entry: Entry): boolean {
    if (entry.deadline > this.#clock.now()) return false;
    this.#settle(entry, { failed: TOO_LATE });
    return true;
  }

  /** One timer for all, at the first deadline: a timer for each would cost more than small models do. */
  #watch(deadline: number): void {
    if (this.#deadlineTimer !== undefined && this.#deadlineTimer.due <= deadline) return;
    this.#deadlineTimer?.cancel();
    const ms = Math.max(deadline - this.#clock.now(), DEADLINE_EVERY_MS);
    const cancel = this.#clock.after(ms, () => {
      this.#deadlineTimer = undefined;
      let next = Number.POSITIVE_INFINITY;
      for (const entry of this.#open) if (!this.#isLate(entry)) next = Math.min(next, entry.deadline);
      if (next < Number.POSITIVE_INFINITY) this.#watch(next);
    });
    this.#deadlineTimer = { due: deadline, cancel };
  }
}

const CALLED_OFF = failure("TIMEOUT", "it was called off");
const TOO_LATE = failure("TIMEOUT", "its deadline passed before it was answered", { again: true });

function failed(reason: InferenceFailure): Promise<ModelAnswer> {
  return Promise.resolve({ failed: reason });
}

/** Whether the batch may have failed because of one of its rows, and not because of whom it was sent to. */
function mayBeOneOfThem({ code }: InferenceFailure): boolean {
  return ROW_FAILURES.has(code);
}

const ROW_FAILURES: ReadonlySet<string> = new Set([
  "MODEL_FAILED",
  "INPUT_REFUSED",
  "OUTPUT_REFUSED",
  "OUT_OF_MEMORY",
  "BAD_RESPONSE",
  "NOT_JSON",
  "RESPONSE_TOO_LARGE",
  "HTTP_400",
  "HTTP_413",
  "HTTP_422",
]);
