/** The bounds of the API, together. What one caller, or all of them, can ask of a node ends here. */

export interface ApiLimits {
  /** Requests of one caller in a second, on average; twice as many at once. A caller is a token's name, or without tokens an address. */
  readonly requestsPerSecond: number;
  /** Requests at work in the node, long ones and public ones apart. */
  readonly requestsMax: number;
  /** Long-lived ones: streams, and those that wait. */
  readonly longRequestsMax: number;
  /** For an answer that is not long. */
  readonly answerTimeoutMs: number;
  /** A refusal for want of room is answered so much later: whoever asks again at once asks less often. */
  readonly refusalDelayMs: number;
}

export const API_LIMITS: ApiLimits = {
  requestsPerSecond: 1_000,
  requestsMax: 64,
  longRequestsMax: 256,
  answerTimeoutMs: 30_000,
  refusalDelayMs: 500,
};

/** A key is at most 256 written bytes; percent-encoded once more at most three times as long. */
export const PARAM_MAX_CHARS = 1_024;
/** Of a body, unless its route says otherwise. */
export const BODY_MAX_BYTES = 1024 * 1024;
/** For a request to arrive as a whole. */
export const RECEIVE_TIMEOUT_MS = 30_000;
export const CONNECTIONS_MAX = 2_048;
/** Refusals that are being delayed; beyond it they are answered at once, and the connection is closed. */
export const DELAYED_MAX = 512;
/** Wrong tokens from one address in a second, on average, and at once. */
export const FAILURES_PER_SECOND = 5;
export const FAILURES_BURST = 20;
