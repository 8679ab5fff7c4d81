/**
 * The models that are open in this process. One is opened when it is first asked for, however many ask at once; the one
 * that was not asked for the longest is closed when there are too many. What cannot be opened is remembered for a moment.
 */
import { failure, InferenceError, type InferenceFailure } from "../failures.ts";
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";
import type { ModelRecord } from "../model-record.ts";
import { BROKEN_MS, MODELS_MAX, OPEN_WITHIN_MS, RUNS_MAX, UNKNOWN_MS } from "./bounds.ts";
import { type ModelMeasures, type ModelMeter, ModelMeters } from "./model-meter.ts";
import type { ModelSource, OpenedModel, ServeModel } from "./model-source.ts";

interface ReadyModel {
  readonly record: ModelRecord;
  readonly model: OpenedModel;
}

type Opened = ReadyModel | { readonly failed: InferenceFailure; readonly until: number };

interface Slot {
  readonly model: string;
  readonly meter: ModelMeter;
  readonly opening: Promise<Opened>;
  opened: Opened | undefined;
  /** Runs that were begun and have not ended. */
  runs: number;
  /** To be called when there are none. */
  onIdle: (() => void) | undefined;
}

export interface ModelHostOptions {
  readonly source: ModelSource;
  readonly serve: ServeModel;
  /** Milliseconds from an arbitrary start, never falling. */
  readonly monotonic: () => number;
  readonly notice: (message: string) => void;
}

export class ModelHost implements Inferrer {
  readonly #options: ModelHostOptions;
  /** The one that was asked for last is the last. */
  readonly #slots = new Map<string, Slot>();
  readonly #meters = new ModelMeters();
  readonly #others: Inferrer = { infer: (request, signal) => this.#infer(request, signal, "plain") };
  /** For what is asked on demand. */
  readonly onDemand: Inferrer = { infer: (request, signal) => this.#infer(request, signal, "onDemand") };

  constructor(options: ModelHostOptions) {
    this.#options = options;
  }

  infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    return this.#infer(request, signal, "stream");
  }

  /** Closes all versions of a model when they have answered: what is set for it is another now. */
  forget(model: string): void {
    for (const [key, slot] of this.#slots) {
      if (slot.model !== model) continue;
      this.#slots.delete(key);
      if (slot.runs === 0) void this.#closeSlot(slot);
      else slot.onIdle = () => void this.#closeSlot(slot);
    }
  }

  measures(): ModelMeasures[] {
    return this.#meters.toRecords((model, version) => {
      const opened = this.#slots.get(keyOf(model, version))?.opened;
      return opened !== undefined && "model" in opened ? (opened.model.queued?.() ?? 0) : 0;
    });
  }

  get open(): number {
    return this.#slots.size;
  }

  /** What runs on is not waited for. */
  async close(): Promise<void> {
    const slots = [...this.#slots.values()];
    this.#slots.clear();
    await Promise.all(slots.map((slot) => this.#closeSlot(slot)));
  }

  async #infer(request: InferenceRequest, signal: AbortSignal, as: "stream" | "onDemand" | "plain"): Promise<Inference> {
    const slot = this.#slot(request.model, request.version);
    if ("failed" in slot) return slot;
    if (slot.runs >= RUNS_MAX)
      return { failed: failure("OVERLOADED", `${RUNS_MAX} runs of ${request.model} are under way.`, { again: true }) };
    const from = this.#options.monotonic();
    slot.runs++;
    slot.meter.inFlight++;
    let inference: Inference | undefined;
    let sloMs: number | undefined;
    try {
      const opened = slot.opened ?? (await slot.opening);
      if ("failed" in opened) inference = { failed: opened.failed };
      else {
        sloMs = opened.record.sloMs;
        // What stands in for another has the hash of the other in its request.
        const refused = as === "plain" ? undefined : refusalOf(request, opened.record);
        inference = refused ?? (await opened.model[as].infer(request, signal));
      }
      return inference;
    } finally {
      if (--slot.runs === 0) slot.onIdle?.();
      slot.meter.inFlight--;
      if (sloMs !== undefined) slot.meter.expected(sloMs, this.#options.monotonic() - from);
      // Of what was cancelled nobody looks at the outcome.
      if (inference !== undefined && !signal.aborted) slot.meter.ended(inference, this.#options.monotonic() - from);
    }
  }

  #slot(model: string, version: number): Slot | { readonly failed: InferenceFailure } {
    const key = keyOf(model, version);
    let slot = this.#slots.get(key);
    const stale = slot?.opened !== undefined && "failed" in slot.opened && this.#options.monotonic() >= slot.opened.until;
    if (slot === undefined || stale) {
      if (slot === undefined && !this.#makeRoom()) {
        return { failed: failure("OVERLOADED", `All of the ${MODELS_MAX} models that may be open are in use.`, { again: true }) };
      }
      slot = this.#newSlot(model, version);
    }
    this.#slots.delete(key);
    this.#slots.set(key, slot);
    return slot;
  }

  #newSlot(model: string, version: number): Slot {
    const slot: Slot = {
      model,
      meter: this.#meters.of(model, version),
      opening: this.#opened(model, version),
      opened: undefined,
      runs: 0,
      onIdle: undefined,
    };
    void slot.opening.then((opened) => {
      slot.opened = opened;
    });
    return slot;
  }

  /** False when nothing may be closed. */
  #makeRoom(): boolean {
    if (this.#slots.size < MODELS_MAX) return true;
    for (const [key, slot] of this.#slots) {
      if (slot.runs > 0 || slot.opened === undefined) continue;
      this.#slots.delete(key);
      void this.#closeSlot(slot);
      return true;
    }
    return false;
  }

  async #closeSlot(slot: Slot): Promise<void> {
    const opened = await slot.opening;
    if ("model" in opened) await this.#closeModel(opened);
  }

  async #closeModel({ model }: ReadyModel): Promise<void> {
    try {
      await model.close();
    } catch (error) {
      this.#options.notice(`a model could not be closed: ${textOf(error)}`);
    }
  }

  /** Never rejects. */
  async #opened(model: string, version: number): Promise<Opened> {
    const broken = (failed: InferenceFailure, ms = BROKEN_MS): Opened => ({ failed, until: this.#options.monotonic() + ms });
    const name = `version ${version} of ${model}`;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), OPEN_WITHIN_MS);
    });
    try {
      const opening = this.#foundAndServed(model, version);
      const opened = await Promise.race([opening, late]);
      if (opened === undefined) return broken(failure("MODEL_UNKNOWN", `There is no ${name} here.`), UNKNOWN_MS);
      if (opened !== "late") return opened;
      opening.then((behind) => behind && this.#closeModel(behind)).catch(() => {});
      return broken(failure("MODEL_REFUSED", `The model was not ready within ${OPEN_WITHIN_MS / 1000} s: ${name}.`, { again: true }));
    } catch (error) {
      if (error instanceof InferenceError) return broken(error.failure);
      this.#options.notice(`${name} could not be opened: ${textOf(error)}`);
      return broken(failure("MODEL_REFUSED", `Opening ${name} failed; the node's log has why.`, { again: true }));
    } finally {
      clearTimeout(timer);
    }
  }

  async #foundAndServed(model: string, version: number): Promise<ReadyModel | undefined> {
    const found = await this.#options.source.find(model, version);
    return found === undefined ? undefined : { record: found.record, model: await this.#options.serve(found, this.#others) };
  }
}

/** The log has another content in force under that number: its answers would be taken for that one's. */
function refusalOf({ model, version, sha256 }: InferenceRequest, record: ModelRecord): Inference | undefined {
  if (sha256 === undefined || sha256 === record.sha256) return undefined;
  const registered = `${record.sha256.slice(0, 12)} is registered here`;
  return {
    failed: failure("MODEL_HASH", `Version ${version} of ${model} is in force with the hash ${sha256.slice(0, 12)}, and ${registered}.`),
  };
}

function keyOf(model: string, version: number): string {
  return `${version} ${model}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
