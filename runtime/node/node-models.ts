/**
 * The models of a node: their registry, the process that runs them, and those that the app brings. The process starts
 * when a job here calls models, or when somebody asks one over HTTP; a node without either never has it.
 */

import type { Inference, InferenceRequest } from "../../inference/inference.ts";
import { InferenceClient } from "../../inference/service/client.ts";
import type { ServiceAddress } from "../../inference/service/messages.ts";
import type { ServiceMeasures } from "../../inference/service/model-meter.ts";
import type { ServiceSettings } from "../../inference/service/model-source.ts";
import type { Clock } from "../clock.ts";
import { isTidemarkError } from "../errors.ts";
import { InferenceProcess } from "../inference/inference-process.ts";
import { MeasuresWatch } from "../models/measures-watch.ts";
import type { Models } from "../models/models.ts";
import { shipModels } from "../models/shipping.ts";
import { modelsOf } from "../reference/activation.ts";
import type { RunningJob } from "./node.ts";

export interface NodeModelsParts {
  readonly models: Models;
  readonly jobs: readonly RunningJob[];
  readonly settings: ServiceSettings;
  readonly clock: Clock;
  readonly notice: (message: string) => void;
}

const SHIP_RETRY_MS = 2_000;
const SHIPPING_ENDS_MS = 2_000;

export class NodeModels {
  readonly models: Models;
  readonly #parts: NodeModelsParts;
  readonly #process: InferenceProcess;
  readonly #measures: MeasuresWatch;
  #onDemand: InferenceClient | undefined;
  #waitsFor: string | undefined;
  readonly #stop = new AbortController();
  #shipping: Promise<void> | undefined;

  constructor(parts: NodeModelsParts) {
    this.models = parts.models;
    this.#parts = parts;
    const { models: source, clock, notice, settings } = parts;
    this.#process = new InferenceProcess({ source, clock, notice, settings });
    this.#measures = new MeasuresWatch(() => this.#process.measures(), clock);
  }

  /** Of the process that runs models; `undefined` when no job here calls any. */
  get address(): ServiceAddress | undefined {
    return modelsOf(this.#parts.jobs.map(({ job }) => job)).length > 0 ? this.#started() : undefined;
  }

  /** Why calls to models would find none in force, while the app's own are on their way. */
  get waitsFor(): string | undefined {
    return this.#waitsFor;
  }

  /** As it was a moment ago, for whoever must not wait for the process; `undefined` when it was never needed. */
  get measures(): ServiceMeasures | undefined {
    return this.#measures.newest;
  }

  /** On behalf of whoever asks over HTTP: in a lane of its own, which never delays calls of jobs. */
  infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    this.#onDemand ??= new InferenceClient({
      address: async () => this.#started(),
      lane: "on-demand",
      whenFull: "refuse",
      now: () => this.#parts.clock.now(),
    });
    return this.#onDemand.infer(request, signal);
  }

  /** Brings what the app ships; shards begin meanwhile. What is away is waited for. */
  ship(): void {
    const jobs = this.#parts.jobs.map(({ job }) => job);
    if (jobs.every(({ models }) => models === undefined)) return;
    this.#waitsFor = "the models of the app are being put in force";
    this.#shipping = this.#shipPatiently();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#measures.stop();
    this.#onDemand?.close();
    // What is being brought to a place that hangs ends with the process.
    await Promise.race([this.#shipping, this.#parts.clock.sleep(SHIPPING_ENDS_MS)]);
    await this.#process.stop();
  }

  #started(): ServiceAddress {
    this.#measures.start();
    return this.#process.address();
  }

  async #shipPatiently(): Promise<void> {
    const { jobs, clock, notice } = this.#parts;
    let told: string | undefined;
    while (!this.#stop.signal.aborted) {
      try {
        await shipModels(this.models, jobs, { clock, notice, signal: this.#stop.signal });
        this.#waitsFor = undefined;
        return;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        const why = error instanceof Error ? error.message : String(error);
        this.#waitsFor = `the models of the app cannot be put in force: ${why}`;
        if (told !== why) notice(this.#waitsFor);
        told = why;
        // A file that is wrong stays so.
        if (isTidemarkError(error, "APP_INVALID") || isTidemarkError(error, "MODEL_INVALID")) return;
        await clock.sleep(SHIP_RETRY_MS, this.#stop.signal);
      }
    }
  }
}
