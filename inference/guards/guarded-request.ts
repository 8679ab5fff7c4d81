/**
 * One request to a server, behind the circuit of the model that it is for: not made when too many failed a moment ago.
 * What is counted is the request, however many questions go in it. Only what is the server's fault counts: an input that
 * it refuses, an answer that a schema refuses, and a request that was called off say nothing of it.
 */
import { failure, InferenceError, type InferenceFailureCode } from "../failures.ts";
import type { Circuit } from "./circuit.ts";

const OF_SERVER: ReadonlySet<InferenceFailureCode> = new Set<InferenceFailureCode>([
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

/** What `request` gives or rejects with; InferenceError CIRCUIT_OPEN when it is not made. `now`: milliseconds. */
export async function guardedRequest<T>(circuit: Circuit, now: () => number, signal: AbortSignal, request: () => Promise<T>): Promise<T> {
  const permit = circuit.admit(now());
  if (typeof permit === "number")
    throw new InferenceError(failure("CIRCUIT_OPEN", "The endpoint failed too often a moment ago.", { again: true, waitMs: permit }));
  try {
    const answer = await request();
    permit.succeeded();
    return answer;
  } catch (error) {
    if (signal.aborted ? isLate(signal) : error instanceof InferenceError && isOfServer(error.failure.code)) permit.failed(now());
    else permit.dropped();
    throw error;
  }
}

/** Ended at a deadline it was the server that took too long; ended otherwise, nobody wanted to know any more. */
function isLate({ reason }: AbortSignal): boolean {
  return reason instanceof DOMException && reason.name === "TimeoutError";
}

function isOfServer(code: InferenceFailureCode): boolean {
  return OF_SERVER.has(code) || code.startsWith("HTTP_5");
}
