/**
 * Leaves an endpoint alone that failed too often a moment ago. Only what is the endpoint's fault counts: an input or an
 * answer that a schema refuses, a question that was taken back, and refusals of our own say nothing of it.
 */
import { failure, type InferenceFailureCode } from "../failures.ts";
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";
import { DEADLINE_SLACK_MS } from "./bounds.ts";
import type { Circuit } from "./circuit.ts";

export interface CircuitGuardOptions {
  /** Of the endpoint: models of one server share it. */
  readonly circuit: Circuit;
  /** Milliseconds by the machine's clock. */
  readonly now: () => number;
}

const OF_ENDPOINT: ReadonlySet<InferenceFailureCode> = new Set<InferenceFailureCode>([
  "TIMEOUT",
  "DNS_FAILED",
  "CONNECT_FAILED",
  "TLS_FAILED",
  "CONNECTION_LOST",
  "BAD_RESPONSE",
  "NOT_JSON",
  "HTTP_408",
  "HTTP_429",
]);

export class CircuitGuard implements Inferrer {
  readonly #inner: Inferrer;
  readonly #options: CircuitGuardOptions;

  constructor(inner: Inferrer, options: CircuitGuardOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  async infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    const { circuit, now } = this.#options;
    const permit = circuit.admit(now());
    if (typeof permit === "number")
      return { failed: failure("CIRCUIT_OPEN", "The endpoint failed too often a moment ago.", { again: true, waitMs: permit }) };
    let inference: Inference;
    try {
      inference = await this.#inner.infer(request, signal);
    } catch (error) {
      permit.dropped();
      throw error;
    }
    if (!("failed" in inference)) permit.succeeded();
    // Ended at its deadline it was the endpoint that took too long; ended before, somebody did not want to know any more.
    else if (signal.aborted ? now() >= request.deadline - DEADLINE_SLACK_MS : isOfEndpoint(inference.failed.code)) permit.failed(now());
    else permit.dropped();
    return inference;
  }
}

function isOfEndpoint(code: InferenceFailureCode): boolean {
  return OF_ENDPOINT.has(code) || code.startsWith("HTTP_5");
}
