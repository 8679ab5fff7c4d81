/**
 * Asks one endpoint once: its secret into the header, the request within its time, the JSON out of the answer. Every
 * failure is an InferenceError, and none has the secret, the input or anything in it that the other side said.
 */
import { hash } from "node:crypto";
import { jsonText } from "../../actors/fold/json-text.ts";
import { failure, InferenceError, type InferenceFailure } from "../failures.ts";
import type { Circuit } from "../guards/circuit.ts";
import { guardedRequest } from "../guards/guarded-request.ts";
import type { Secret } from "../secrets/secret.ts";
import { originFault, type SecretOrigins } from "../secrets/secret-origins.ts";
import type { SecretSource } from "../secrets/secrets.ts";
import { ECHO_MIN_CHARS, TIMEOUT_DEFAULT_MS } from "./bounds.ts";
import { headerOf, requestUrl } from "./endpoint-url.ts";
import { ExchangeError, type HttpAnswer, type HttpConnections, type HttpRequest } from "./http-exchange.ts";
import { readJsonAnswer } from "./json-answer.ts";
import type { RemoteServing, SecretUse } from "./remote-serving.ts";

export interface EndpointOptions {
  readonly connections: Pick<HttpConnections, "exchange">;
  readonly secrets: SecretSource;
  readonly secretOrigins: SecretOrigins;
  /** Of the model: each request is counted in it. */
  readonly circuit: Circuit;
  /** Milliseconds by the machine's clock. */
  readonly now: () => number;
}

/** An id that a header takes as it is. */
const HEADER_ID = /^[\x21-\x7e]{1,256}$/;
const HEADERS = {
  accept: "application/json",
  "accept-encoding": "identity",
  "content-type": "application/json",
  "user-agent": "tidemark",
};

export class Endpoint {
  readonly #url: string;
  readonly #serving: RemoteServing;
  readonly #options: EndpointOptions;

  /** `ownPath`: of the protocol, where the serving names no other. */
  constructor(serving: RemoteServing, ownPath: string, options: EndpointOptions) {
    this.#serving = serving;
    this.#url = requestUrl(serving, ownPath);
    this.#options = options;
  }

  /** The answer's JSON. Rejects with InferenceError; with whatever when `signal` is aborted. */
  async post(body: string, ids: readonly string[], signal: AbortSignal): Promise<unknown> {
    const { secret: use, timeoutMs = TIMEOUT_DEFAULT_MS } = this.#serving;
    const secret = use === undefined ? undefined : await this.#secret(use);
    const headers = {
      ...HEADERS,
      "idempotency-key": idempotencyKey(ids),
      ...(use === undefined || secret === undefined ? {} : { [headerOf(use)]: credentials(use, secret) }),
    };
    const { circuit, now } = this.#options;
    return await guardedRequest(circuit, now, signal, async () => {
      const answer = await this.#exchange({ method: "POST", url: this.#url, headers, body }, timeoutMs, signal);
      const read = readJsonAnswer(answer, now());
      if ("failed" in read) throw new InferenceError(read.failed);
      if (secret !== undefined && repeats(read.text, read.json, secret))
        throw refused(failure("BAD_RESPONSE", "The answer repeats the secret that it was asked with, and is not used."));
      return read.json;
    });
  }

  async #secret(use: SecretUse): Promise<Secret> {
    const fault = originFault(this.#options.secretOrigins, use.name, this.#url);
    if (fault !== undefined) throw refused(failure("SECRET_ORIGIN", `${fault}.`));
    const secret = await this.#options.secrets.get(use.name);
    if (typeof secret === "string") throw refused(failure("SECRET_MISSING", secret));
    return secret;
  }

  async #exchange(request: HttpRequest, timeoutMs: number, signal: AbortSignal): Promise<HttpAnswer> {
    const end = new AbortController();
    const stop = (): void => end.abort();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      stop();
    }, timeoutMs);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    try {
      return await this.#options.connections.exchange(request, end.signal);
    } catch (error) {
      if (late) throw refused(failure("TIMEOUT", `No whole answer came within ${timeoutMs} ms.`, { again: true }));
      if (!(error instanceof ExchangeError)) throw error;
      throw refused(failure(error.code, error.message, { again: error.again }));
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }
}

function refused(reason: InferenceFailure): InferenceError {
  return new InferenceError(reason);
}

/** Of one input its id; of several, in their order, always the same key. */
function idempotencyKey(ids: readonly string[]): string {
  const [id = ""] = ids;
  return ids.length === 1 && HEADER_ID.test(id) ? id : hash("sha256", JSON.stringify(ids), "hex");
}

function credentials(use: SecretUse, secret: Secret): string {
  const scheme = use.scheme ?? (headerOf(use) === "authorization" ? "Bearer" : "");
  return scheme === "" ? secret.reveal() : `${scheme} ${secret.reveal()}`;
}

/** A server that answers with what it was sent would bring the secret into the log. */
function repeats(text: string, json: unknown, secret: Secret): boolean {
  const value = secret.reveal();
  if (value.length < ECHO_MIN_CHARS) return false;
  if (text.includes(value)) return true;
  // It may be written with escapes.
  return text.includes("\\") && jsonText(json).includes(JSON.stringify(value).slice(1, -1));
}
