/**
 * Makes calls of `infer` effects: asks the inference process of the node for the version that was in force when the
 * handler asked, and says what came of it, with who answered and how.
 */
import type { InferenceNote, Outcome } from "../../actors/fold/result-entry.ts";
import type { Inference, Inferrer } from "../../inference/inference.ts";
import type { Clock } from "../clock.ts";
import { INFER_IN_FLIGHT_MAX, INFER_MODEL_IN_FLIGHT_MAX } from "./bounds.ts";
import { failedCall } from "./call-failures.ts";
import type { Caller, CallNotes, CallToMake } from "./caller.ts";

interface Asked {
  readonly model: string;
  readonly version: number;
  readonly sha256: string;
}

const TARGET = /^infer (?<model>[^\s@]+)(?:@(?<version>[1-9]\d{0,9}) (?<sha256>[0-9a-f]{64}))?$/;

export class InferCaller implements Caller {
  readonly inFlightMax = INFER_IN_FLIGHT_MAX;
  readonly originInFlightMax = INFER_MODEL_IN_FLIGHT_MAX;
  readonly #inferrer: (onTrial: () => Promise<void>) => Inferrer;
  readonly #clock: Clock;

  /** `inferrer`: for one call; it tells before it tries the call by itself. */
  constructor(inferrer: (onTrial: () => Promise<void>) => Inferrer, clock: Clock) {
    this.#inferrer = inferrer;
    this.#clock = clock;
  }

  /** The model, whatever its version. */
  originOf(target: string): string {
    return `infer ${partsOf(target).model}`;
  }

  async call(call: CallToMake, signal: AbortSignal, { onAttempt, onTrial }: CallNotes): Promise<Outcome> {
    const { model, version, sha256 } = partsOf(call.target);
    if (version === undefined || sha256 === undefined) return failedCall("MODEL_NOT_ACTIVE", `No version of "${model}" was in force.`);
    const asked = { model, version: Number(version), sha256 };
    const { id, input, key, deadline, residency, tenant } = call;
    const tags = { ...(residency === undefined ? {} : { residency }), ...(tenant === undefined ? {} : { tenant }) };
    const from = this.#clock.monotonic();
    onAttempt();
    const inference = await this.#inferrer(onTrial).infer({ id, input, key, deadline, ...tags, ...asked }, signal);
    return outcomeOf(inference, asked, this.#clock.monotonic() - from);
  }
}

function partsOf(target: string): { readonly model: string; readonly version: string | undefined; readonly sha256: string | undefined } {
  const parts = TARGET.exec(target)?.groups;
  if (parts === undefined) throw new Error(`"${target}" is no target of an infer effect`);
  return { model: parts.model!, version: parts.version, sha256: parts.sha256 };
}

function outcomeOf(inference: Inference, asked: Asked, tookMs: number): Outcome {
  const latencyMs = Math.round(tookMs * 1000) / 1000;
  if ("failed" in inference) {
    const { code, message } = inference.failed;
    const note: InferenceNote = { model: asked.model, version: asked.version, confidence: null, latencyMs, cached: "no", units: 0 };
    return { failed: { code, message }, inference: note };
  }
  const { output, model, version, confidence, cached, units } = inference;
  return { output, inference: { model, version, confidence, latencyMs, cached, units } };
}
