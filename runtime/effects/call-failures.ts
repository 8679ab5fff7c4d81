/**
 * Codes of calls that failed, as handlers see them and metrics count them. They stand in logs: one that is retired is
 * never used again. `docs/effects.md` lists them; a test keeps both equal. RESULT_SCHEMA is the fold's own.
 */
import type { CallFailure } from "../../actors/model/effect.ts";
import type { InferenceFailureCode } from "../../inference/failures.ts";

export const CALL_FAILURES = {
  TIMEOUT: "no whole answer within the effect's timeout, counted from when it was asked for",
  DNS_FAILED: "the host's name could not be resolved",
  CONNECT_FAILED: "nobody took the connection",
  TLS_FAILED: "the host's certificate or its TLS was not accepted",
  CONNECTION_LOST: "the connection ended before the whole answer had come",
  BAD_RESPONSE: "what came is no HTTP",
  NOT_JSON: "the answer is no JSON in UTF-8, or does not say that it is",
  RESPONSE_TOO_LARGE: "the answer is over the bound",
  INPUT_NOT_A_QUERY: "the input of a GET or DELETE is no object of texts, numbers, booleans and lists of them",
  MODEL_NOT_ACTIVE: "no version of the model was in force when it was asked for",
  EFFECT_GONE: "this build declares no such effect; no handler is called",
  CALLEE_UNAVAILABLE: "this version cannot make such a call",
  CALL_BROKEN: "making the call failed in a way that is a fault of Tidemark; the node's log has it",
} as const;

/** `HTTP_404`: the status of an answer that is no success. Of calls to models also those of an inference. */
export type CallFailureCode = keyof typeof CALL_FAILURES | InferenceFailureCode;

export function failedCall(code: CallFailureCode, message: string): { readonly failed: CallFailure } {
  return { failed: { code, message } };
}
