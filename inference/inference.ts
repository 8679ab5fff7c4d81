/**
 * What an inference is, for those who ask for one and those who answer. Batching, a cache, a circuit breaker or a bound
 * is an `Inferrer` around another one; at the bottom is a `ServedModel`. None of them knows a shard, a log or an actor.
 */
import type { InferenceFailure } from "./failures.ts";

export interface InferenceRequest {
  /** Stays the same however often it is asked; `Idempotency-Key` at remote servers. */
  readonly id: string;
  readonly model: string;
  readonly version: number;
  /** Of the version's content, as the log has it in force: what is registered under that number must be the same. Absent for any. */
  readonly sha256?: string;
  /** Canonical JSON. */
  readonly input: string;
  /** Milliseconds by the machine's clock. */
  readonly deadline: number;
  /** Whose limits it counts for; absent for none. */
  readonly tenant?: string;
  /** What it is asked for, as a customer or a device: its limits too; absent for none. */
  readonly key?: string;
  /** Tag of where its data may be; absent for anywhere. */
  readonly residency?: string;
  /** Suspected of having ended a process: it is run by itself, where nothing else dies with it. */
  readonly alone?: boolean;
}

export interface Inferred {
  readonly output: unknown;
  /** From 0 to 1; `null` for a model that gives none. */
  readonly confidence: number | null;
  /** Model that answered: the one asked, or its fallback. */
  readonly model: string;
  readonly version: number;
  /** Milliseconds from when it was asked to the answer. */
  readonly latencyMs: number;
  readonly cached: "no" | "exact" | "semantic";
  /** What it cost, in the model's own unit (tokens, calls). */
  readonly units: number;
}

export type Inference = Inferred | { readonly failed: InferenceFailure };

export interface Inferrer {
  /**
   * Answers, or says why not; rejects only with what is a fault of Tidemark. When `signal` is aborted it ends at once
   * with whatever, and nobody looks at that.
   */
  infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference>;
}

/** One input of a batch. */
export interface ModelInput {
  readonly id: string;
  /** As its schema allows it. */
  readonly value: unknown;
}

export type ModelAnswer = { readonly output: unknown; readonly units: number } | { readonly failed: InferenceFailure };

/** One version of a model, ready to answer. */
export interface ServedModel {
  /** Inputs of one call at the most. */
  readonly batchMax: number;
  /**
   * One answer for each input, in their order. Rejects with InferenceError when the batch as a whole failed. Ends when
   * `signal` is aborted, which has a TimeoutError as its reason when a deadline passed. It checks neither input nor output against the schemas of the version's record.
   */
  run(inputs: readonly ModelInput[], signal: AbortSignal): Promise<readonly ModelAnswer[]>;
  close(): Promise<void>;
}
