/**
 * Makes calls of `http` effects: the input goes out as JSON, or as the query of a GET or DELETE, with the call's id as
 * `Idempotency-Key`; the answer's JSON comes back. What may be repeated is tried again, with a pause between.
 */
import { canonicalJson, UnsafeData } from "../../actors/fold/canonical.ts";
import type { Outcome } from "../../actors/fold/result-entry.ts";
import { ExchangeError, type HttpAnswer, type HttpConnections, type HttpRequest } from "../../inference/remote/http-exchange.ts";
import { readJsonAnswer } from "../../inference/remote/json-answer.ts";
import type { Clock } from "../clock.ts";
import { ATTEMPTS_MAX, BACKOFF_MS, HTTP_IN_FLIGHT_MAX, LARGE_BYTES, ORIGIN_IN_FLIGHT_MAX, OUTPUT_MAX_BYTES } from "./bounds.ts";
import { type CallFailureCode, failedCall } from "./call-failures.ts";
import type { Caller, CallNotes, CallToMake } from "./caller.ts";
import { urlWithQuery } from "./http-query.ts";

/** What came of one attempt. */
interface Attempt {
  readonly outcome: Outcome;
  /** Another attempt might end otherwise. */
  readonly again: boolean;
  /** How long the other side asked to be left alone. */
  readonly waitMs: number;
}

/** A build declares a handful; calls of earlier ones may wait beside them. */
const ORIGINS_MAX = 1_000;
const TARGET = /^http (?<method>[A-Z]+) (?<url>https?:\S+)$/;

export class HttpCaller implements Caller {
  readonly inFlightMax = HTTP_IN_FLIGHT_MAX;
  readonly originInFlightMax = ORIGIN_IN_FLIGHT_MAX;
  readonly #connections: HttpConnections;
  readonly #clock: Clock;
  /** From 0 up to 1. */
  readonly #random: () => number;
  /** By target; asked for again and again. */
  readonly #origins = new Map<string, string>();

  constructor(connections: HttpConnections, clock: Clock, random: () => number) {
    this.#connections = connections;
    this.#clock = clock;
    this.#random = random;
  }

  originOf(target: string): string {
    let origin = this.#origins.get(target);
    if (origin === undefined) {
      if (this.#origins.size >= ORIGINS_MAX) this.#origins.clear();
      origin = new URL(partsOf(target).url).origin;
      this.#origins.set(target, origin);
    }
    return origin;
  }

  async call(call: CallToMake, signal: AbortSignal, { onAttempt, onLarge }: CallNotes): Promise<Outcome> {
    const { method, url } = partsOf(call.target);
    const request = requestOf(method, url, call);
    if ("failed" in request) return request;
    const mayRepeat = call.mayRepeat ?? (method !== "POST" && method !== "PATCH");
    for (let attempt = 1; ; attempt++) {
      onAttempt();
      const { outcome, again, waitMs } = await this.#attempt(request, signal, onLarge);
      if (!again || !mayRepeat || attempt === ATTEMPTS_MAX || signal.aborted) return outcome;
      const pause = Math.max(waitMs, BACKOFF_MS * 2 ** (attempt - 1) * (0.5 + this.#random() / 2));
      // What would come too late is not waited for: the reason at hand says more than a timeout.
      if (this.#clock.now() + pause >= call.deadline) return outcome;
      await this.#clock.sleep(pause, signal);
      if (signal.aborted) return outcome;
    }
  }

  async #attempt(request: HttpRequest, signal: AbortSignal, room: CallNotes["onLarge"]): Promise<Attempt> {
    try {
      return read(await this.#connections.exchange(request, signal, { overBytes: LARGE_BYTES, room }), this.#clock.now());
    } catch (error) {
      if (!(error instanceof ExchangeError)) throw error;
      return { outcome: failedCall(error.code, error.message), again: error.again, waitMs: 0 };
    }
  }
}

function partsOf(target: string): { readonly method: string; readonly url: string } {
  const parts = TARGET.exec(target)?.groups;
  if (parts === undefined) throw new Error(`"${target}" is no target of an http effect`);
  return { method: parts.method!, url: parts.url! };
}

function requestOf(method: string, url: string, { id, input }: CallToMake): HttpRequest | ReturnType<typeof failedCall> {
  const headers = { accept: "application/json", "accept-encoding": "identity", "idempotency-key": id, "user-agent": "tidemark" };
  if (method !== "GET" && method !== "DELETE") {
    return { method, url, headers: { ...headers, "content-type": "application/json" }, body: input };
  }
  const full = urlWithQuery(url, JSON.parse(input));
  if (full !== undefined) return { method, url: full, headers, body: undefined };
  return failedCall(
    "INPUT_NOT_A_QUERY",
    `The input of a ${method} goes into the query: give an object of texts, numbers, booleans and lists of them.`,
  );
}

function read(answer: HttpAnswer, now: number): Attempt {
  const read = readJsonAnswer(answer, now);
  if (!("failed" in read)) return { outcome: bounded(read.json), again: false, waitMs: 0 };
  const { code, message, again, waitMs } = read.failed;
  return { outcome: failedCall(code === "OUTPUT_REFUSED" ? "NOT_JSON" : code, message), again, waitMs };
}

/** What no fold would take does not go into the log. */
function bounded(output: unknown): Outcome {
  try {
    const bytes = Buffer.byteLength(canonicalJson(output));
    if (bytes <= OUTPUT_MAX_BYTES) return { output };
    return failedCall(
      "RESPONSE_TOO_LARGE" satisfies CallFailureCode,
      `The answer has ${bytes} bytes as JSON, at most ${OUTPUT_MAX_BYTES}.`,
    );
  } catch (error) {
    if (!(error instanceof UnsafeData)) throw error;
    return failedCall("NOT_JSON", "The answer is nested too deep, or has fields or texts that could do harm.");
  }
}
