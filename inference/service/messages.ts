/**
 * What goes over the socket, and the check of what came. A hello with the token comes first; then requests and cancels
 * go one way and answers the other, many in a frame and in any order. An answer names its request by a number that is
 * the client's own.
 */
import type { Inference, InferenceRequest } from "../inference.ts";
import { INPUT_MAX_CHARS, NAME_MAX_CHARS } from "./bounds.ts";

export const PROTOCOL = 1;

/** Requests of the one can never keep those of the other waiting. */
export type Lane = "stream" | "on-demand";

/** Where a node's inference process is. Plain: it crosses threads. */
export interface ServiceAddress {
  readonly path: string;
  /** Keeps out whoever can reach the socket and is not the node. */
  readonly token: string;
}

export interface Hello {
  readonly kind: "hello";
  readonly protocol: number;
  readonly token: string;
  readonly lane: Lane;
}

export interface NumberedRequest extends InferenceRequest {
  readonly n: number;
}

export interface Ask {
  readonly kind: "ask";
  readonly requests: readonly NumberedRequest[];
  readonly cancels: readonly number[];
  /** Whose turn to run alone had come: what is to be known before it runs is written down. */
  readonly begins: readonly number[];
}

export interface NumberedAnswer {
  readonly n: number;
  readonly answer?: Inference;
  /** Instead of an answer: a fault of Tidemark. */
  readonly fault?: string;
}

export type FromService =
  | { readonly kind: "welcome"; readonly inFlightMax: number }
  /** The connection cannot go on. */
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "answers"; readonly answers: readonly NumberedAnswer[] }
  /** It is about to run alone, and waits for a begin. */
  | { readonly kind: "turn"; readonly n: number }
  /** The process ends because it was asked to: nothing that it has not answered is to blame. */
  | { readonly kind: "leaving" };

/** What came is not what the protocol says. */
export class ProtocolError extends Error {}

export function helloOf(text: string): Hello {
  const value = record(text);
  const { kind, protocol, token, lane } = value;
  if (kind !== "hello") throw new ProtocolError("A hello has to come first.");
  if (protocol !== PROTOCOL) throw new ProtocolError(`Protocol ${PROTOCOL} is spoken here.`);
  if (typeof token !== "string" || (lane !== "stream" && lane !== "on-demand")) throw new ProtocolError("The hello is malformed.");
  return { kind, protocol, token, lane };
}

export function askOf(text: string): Ask {
  const { kind, requests, cancels, begins } = record(text);
  if (kind !== "ask" || !Array.isArray(requests) || !Array.isArray(cancels) || !Array.isArray(begins))
    throw new ProtocolError("Requests, cancels and begins are taken.");
  for (const one of [...cancels, ...begins])
    if (!Number.isSafeInteger(one)) throw new ProtocolError("A cancel or a begin names no request.");
  for (const one of requests) if (!isRequest(one)) throw new ProtocolError("A request is malformed.");
  return { kind, requests, cancels, begins } as Ask;
}

/** The process is the node's own child, so only the frame's form is looked at. */
export function fromService(text: string): FromService {
  const value = record(text);
  if (typeof value.kind !== "string") throw new ProtocolError("What came is no message of an inference process.");
  return value as unknown as FromService;
}

function isRequest(value: unknown): boolean {
  if (value === null || typeof value !== "object") return false;
  const { n, id, model, version, input, deadline, tenant, key, residency, alone } = value as Partial<
    Record<keyof NumberedRequest, unknown>
  >;
  return (
    Number.isSafeInteger(n) &&
    isName(id) &&
    isName(model) &&
    Number.isSafeInteger(version) &&
    typeof input === "string" &&
    input.length <= INPUT_MAX_CHARS &&
    typeof deadline === "number" &&
    isOptionalName(tenant) &&
    isOptionalName(key) &&
    isOptionalName(residency) &&
    (alone === undefined || typeof alone === "boolean")
  );
}

function isName(value: unknown): boolean {
  return typeof value === "string" && value.length <= NAME_MAX_CHARS;
}

function isOptionalName(value: unknown): boolean {
  return value === undefined || isName(value);
}

function record(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ProtocolError("A frame is no JSON.");
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new ProtocolError("A frame is no record.");
  return value as Record<string, unknown>;
}
