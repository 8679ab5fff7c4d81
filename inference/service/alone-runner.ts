/**
 * Runs suspects, one after the other, in a process of their own, so that a death is the doing of the one that was
 * running. The process is started for the first and kept while more come; a death in one that ran others before is not
 * held against the last of them: it runs again in a fresh one. One that takes too long is ended with its process, so
 * that the others come to their turn.
 */
import type { ChildProcess } from "node:child_process";
import { failure } from "../failures.ts";
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";
import { ALONE_IDLE_MS, ALONE_STARTS_MAX, ALONE_WAITING_MAX, TRIAL_MAX_MS } from "./bounds.ts";
import { crashFailure } from "./crash.ts";
import type { FromChild, ToChild } from "./ipc.ts";
import type { ModelSource, ServiceSettings } from "./model-source.ts";

export interface AloneRunnerOptions {
  /** Starts a process like this one, which is to run what it is told. */
  readonly start: () => ChildProcess;
  readonly settings: ServiceSettings;
  readonly source: ModelSource;
  /** Milliseconds from its turn to its answer; TRIAL_MAX_MS. */
  readonly trialMaxMs?: number;
}

/** An `Inferrer` where what is asked alone waits for its turn: `onTurn` is told when it has come, and is waited for. */
export interface AloneInferrer extends Inferrer {
  infer(request: InferenceRequest, signal: AbortSignal, onTurn?: () => Promise<void>): Promise<Inference>;
}

/** How a run ended. `not-begun`: the process was gone before it could be told. */
type RunEnd = { readonly inference: Inference } | { readonly fault: string } | { readonly died: string } | "not-begun";

export class AloneRunner implements AloneInferrer {
  readonly #options: AloneRunnerOptions;
  #child: AloneChild | undefined;
  #waiting = 0;
  #deaths = 0;
  /** Behind it the next one runs. */
  #last: Promise<unknown> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: AloneRunnerOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Processes that ended with a suspect. */
  get deaths(): number {
    return this.#deaths;
  }

  infer(request: InferenceRequest, signal: AbortSignal, onTurn = async (): Promise<void> => {}): Promise<Inference> {
    if (this.#waiting >= ALONE_WAITING_MAX) {
      return Promise.resolve({ failed: failure("OVERLOADED", `${ALONE_WAITING_MAX} suspects wait to be run alone.`, { again: true }) });
    }
    this.#waiting++;
    clearTimeout(this.#idle);
    const run = this.#last.then(() => this.#trial(request, signal, onTurn));
    this.#last = run.catch(() => {}).then(() => this.#ended());
    return run;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#idle);
    this.#drop();
  }

  #ended(): void {
    this.#waiting--;
    if (this.#waiting === 0 && !this.#closed) this.#idle = setTimeout(() => this.#drop(), ALONE_IDLE_MS);
  }

  async #trial(request: InferenceRequest, signal: AbortSignal, onTurn: () => Promise<void>): Promise<Inference> {
    if (signal.aborted || this.#closed) return CANCELLED;
    const { trialMaxMs = TRIAL_MAX_MS } = this.#options;
    const late = AbortSignal.timeout(trialMaxMs);
    const over = AbortSignal.any([signal, late]);
    await Promise.race([onTurn(), aborted(over)]);
    const inference = await this.#run(request, over);
    if (!late.aborted || signal.aborted) return inference;
    return { failed: failure("TIMEOUT", `Run alone it had no answer within ${trialMaxMs} ms.`) };
  }

  async #run(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    for (let starts = 0; starts < ALONE_STARTS_MAX; ) {
      if (signal.aborted || this.#closed) return CANCELLED;
      this.#child ??= new AloneChild(this.#options);
      const child = this.#child;
      const fresh = !child.used;
      // A run that does not end is ended with its process.
      const drop = (): void => this.#drop();
      signal.addEventListener("abort", drop);
      const end = await child.run(request);
      signal.removeEventListener("abort", drop);
      if (signal.aborted) return CANCELLED;
      if (end === "not-begun") starts++;
      else if ("inference" in end) return end.inference;
      else if ("fault" in end) throw new Error(end.fault);
      this.#drop();
      if (end === "not-begun") continue;
      this.#deaths++;
      if (fresh) return { failed: crashFailure("alone", end.died) };
    }
    throw new Error(`a process for running suspects ended ${ALONE_STARTS_MAX} times before it could be told anything`);
  }

  #drop(): void {
    this.#child?.kill();
    this.#child = undefined;
  }
}

const CANCELLED: Inference = { failed: failure("TIMEOUT", "It was cancelled.") };

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

class AloneChild {
  /** It has run something. */
  used = false;
  readonly #process: ChildProcess;
  readonly #source: ModelSource;
  readonly #ready: Promise<boolean>;
  #gone: string | undefined;
  #settle: (end: RunEnd) => void = () => {};

  constructor({ start, settings, source }: AloneRunnerOptions) {
    const child = start();
    this.#process = child;
    this.#source = source;
    this.#ready = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#gone ??= how;
        resolve(false);
        this.#settle({ died: how });
      };
      child.on("message", (message: FromChild) => {
        if (message.kind === "ready") resolve(true);
        else this.#receive(message);
      });
      child.once("error", (error) => end(error.message));
      // Behind the last message, unlike "exit".
      child.once("close", (code, signal) => end(signal ?? `exit code ${code}`));
    });
    this.#tell({ kind: "run-alone", settings });
  }

  async run(request: InferenceRequest): Promise<RunEnd> {
    if (!(await this.#ready) || this.#gone !== undefined) return "not-begun";
    return await new Promise((resolve) => {
      this.#settle = (end) => {
        this.used = true;
        resolve(end);
      };
      this.#tell({ kind: "run", request });
    });
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  #receive(message: FromChild): void {
    if (message.kind === "find") void this.#find(message);
    else if (message.kind === "ran") {
      const { inference, fault = "it gave nothing" } = message;
      this.#settle(inference === undefined ? { fault } : { inference });
    }
  }

  async #find({ question, model, version }: Extract<FromChild, { readonly kind: "find" }>): Promise<void> {
    try {
      this.#tell({ kind: "found", question, found: await this.#source.find(model, version) });
    } catch (error) {
      this.#tell({ kind: "found", question, failed: error instanceof Error ? error.message : String(error) });
    }
  }

  /** Its end tells more than that it could not be told. */
  #tell(message: ToChild): void {
    if (this.#process.connected) this.#process.send(message, () => {});
  }
}
