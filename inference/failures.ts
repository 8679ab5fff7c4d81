/**
 * Codes of inferences that failed, as handlers see them and metrics count them. They stand in logs: one that is retired
 * is never used again. `docs/inference.md` lists them; a test keeps both equal.
 */
export const INFERENCE_FAILURES = {
  MODEL_UNKNOWN: "no such version of the model is registered here",
  MODEL_REFUSED: "the model's content could not be loaded",
  MODEL_HASH: "the model's content is not the one that was registered",
  MODEL_FAILED: "the model could not be run on this input",
  INPUT_REFUSED: "the input is not what the model takes",
  OUTPUT_REFUSED: "the answer is not what the model's schema says, or has NaN or an infinity in it",
  OVERLOADED: "too many wait for the model",
  CRASHED: "the process that ran it ended, twice",
  OUT_OF_MEMORY: "the worker that ran it had no memory left",
  TIMEOUT: "no answer in time",
  CIRCUIT_OPEN: "the endpoint failed too often a moment ago, and is left alone",
  RATE_LIMITED: "more in this time than the limit allows",
  RESIDENCY: "the endpoint is in another region than the data may be in",
  SECRET_MISSING: "a secret that the endpoint needs is not there",
  SECRET_ORIGIN: "a secret that the endpoint needs may not go there",
  DNS_FAILED: "the host's name could not be resolved",
  CONNECT_FAILED: "nobody took the connection",
  TLS_FAILED: "the host's certificate or its TLS was not accepted",
  CONNECTION_LOST: "the connection ended before the whole answer had come",
  BAD_RESPONSE: "what came is no HTTP, or not what the protocol says",
  NOT_JSON: "the answer is no JSON in UTF-8, or does not say that it is",
  RESPONSE_TOO_LARGE: "the answer is over the bound",
} as const;

/** `HTTP_404`: the status of an answer that is no success. */
export type InferenceFailureCode = keyof typeof INFERENCE_FAILURES | `HTTP_${number}`;

export interface InferenceFailure {
  readonly code: InferenceFailureCode;
  /** Has nothing of the input in it, and no secret. */
  readonly message: string;
  /** Another attempt might end otherwise. */
  readonly again: boolean;
  /** Milliseconds that the other side asked to be left alone; 0 for nothing said. */
  readonly waitMs: number;
}

export class InferenceError extends Error {
  readonly failure: InferenceFailure;

  constructor(failure: InferenceFailure) {
    super(failure.message);
    this.name = "InferenceError";
    this.failure = failure;
  }
}

export function failure(code: InferenceFailureCode, message: string, { again = false, waitMs = 0 } = {}): InferenceFailure {
  return { code, message, again, waitMs };
}
