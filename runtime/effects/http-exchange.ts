/**
 * One HTTP request and its whole answer, within bounds. Connections are kept for the next request. Redirects are not
 * followed and nothing is decompressed: what is called is what was declared, and what it costs is what is read.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { IDLE_CONNECTION_MS, IDLE_CONNECTIONS_MAX, RESPONSE_MAX_BYTES } from "./bounds.ts";
import type { CallFailureCode } from "./call-failures.ts";

export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** Why there is no whole answer. */
export class ExchangeError extends Error {
  readonly code: CallFailureCode;

  constructor(code: CallFailureCode, message: string) {
    super(message);
    this.name = "ExchangeError";
    this.code = code;
  }
}

const DNS = /^(ENOTFOUND|EAI_)/;
const CONNECT = /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|EADDRNOTAVAIL|ETIMEDOUT)$/;
const TLS = /CERT|TLS|SSL|EPROTO|HOSTNAME_MISMATCH/;

export class HttpConnections {
  readonly #options = { keepAlive: true, maxFreeSockets: IDLE_CONNECTIONS_MAX, timeout: IDLE_CONNECTION_MS } as const;
  readonly #plain = new HttpAgent(this.#options);
  readonly #secure = new HttpsAgent(this.#options);

  /** Rejects with ExchangeError; with whatever when `signal` is aborted. */
  exchange({ method, url, headers, body }: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const options: RequestOptions = { method, headers: { ...headers }, signal };
    const secure = url.startsWith("https:");
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => reject(error instanceof ExchangeError ? error : exchangeError(error));
      const onAnswer = (answer: IncomingMessage): void => {
        readBody(answer).then((bytes) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: bytes }), fail);
      };
      const request = secure
        ? httpsRequest(url, { ...options, agent: this.#secure }, onAnswer)
        : httpRequest(url, { ...options, agent: this.#plain }, onAnswer);
      request.on("error", fail);
      request.end(body);
    });
  }

  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }
}

async function readBody(answer: IncomingMessage): Promise<Buffer> {
  const tooLarge = (): ExchangeError => new ExchangeError("RESPONSE_TOO_LARGE", `The answer is over ${RESPONSE_MAX_BYTES} bytes.`);
  // What is thrown in this loop destroys the answer and its connection.
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > RESPONSE_MAX_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function exchangeError(error: Error): ExchangeError {
  const { code = "" } = error as NodeJS.ErrnoException;
  const failed = codeOf(code);
  return new ExchangeError(failed, `${SAID[failed]} (${code === "" ? error.name : code}).`);
}

type NoAnswer = "DNS_FAILED" | "CONNECT_FAILED" | "TLS_FAILED" | "BAD_RESPONSE" | "CONNECTION_LOST";

const SAID: Readonly<Record<NoAnswer, string>> = {
  DNS_FAILED: "The host's name could not be resolved",
  CONNECT_FAILED: "Nobody took the connection",
  TLS_FAILED: "The host's TLS was not accepted",
  BAD_RESPONSE: "What came is no HTTP",
  CONNECTION_LOST: "The connection ended before the whole answer had come",
};

function codeOf(code: string): NoAnswer {
  if (DNS.test(code)) return "DNS_FAILED";
  if (CONNECT.test(code)) return "CONNECT_FAILED";
  if (code.startsWith("HPE_")) return "BAD_RESPONSE";
  return TLS.test(code) ? "TLS_FAILED" : "CONNECTION_LOST";
}
