/**
 * One HTTP request and its whole answer, within bounds. Connections are kept for the next request. Redirects are not
 * followed and nothing is decompressed: what is called is what was declared, and what it costs is what is read. No
 * message has anything in it that the other side said.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { IDLE_CONNECTION_MS, IDLE_CONNECTIONS_MAX, RESPONSE_MAX_BYTES } from "./bounds.ts";

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

type NoAnswer = "DNS_FAILED" | "CONNECT_FAILED" | "TLS_FAILED" | "BAD_RESPONSE" | "CONNECTION_LOST";

/** Why there is no whole answer. */
export class ExchangeError extends Error {
  readonly code: NoAnswer | "RESPONSE_TOO_LARGE";

  constructor(code: NoAnswer | "RESPONSE_TOO_LARGE", message: string) {
    super(message);
    this.name = "ExchangeError";
    this.code = code;
  }

  /** Another attempt might end otherwise. */
  get again(): boolean {
    return this.code !== "RESPONSE_TOO_LARGE" && this.code !== "TLS_FAILED";
  }
}

/** Asked once in the middle of an answer that is over `overBytes`: nothing more of it is read before it resolves. */
export interface LargeAnswer {
  readonly overBytes: number;
  readonly room: () => Promise<void>;
}

export interface ConnectionOptions {
  /** Body of an answer, as it comes; RESPONSE_MAX_BYTES when absent. */
  readonly responseMaxBytes?: number;
  /** Certificates of authorities, as PEM; Node's own when absent. */
  readonly ca?: string;
}

const DNS = /^(ENOTFOUND|EAI_)/;
const CONNECT = /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|EADDRNOTAVAIL|ETIMEDOUT)$/;
/** OpenSSL's names of what is wrong with a certificate; of a chain that ends nowhere: UNABLE_TO_VERIFY_LEAF_SIGNATURE. */
const TLS = /CERT|TLS|SSL|EPROTO|HOSTNAME_MISMATCH|^UNABLE_TO_|^INVALID_(CA|PURPOSE)$|^PATH_LENGTH_EXCEEDED$/;

export class HttpConnections {
  readonly #responseMaxBytes: number;
  readonly #plain: HttpAgent;
  readonly #secure: HttpsAgent;

  constructor({ responseMaxBytes = RESPONSE_MAX_BYTES, ca }: ConnectionOptions = {}) {
    const kept = { keepAlive: true, maxFreeSockets: IDLE_CONNECTIONS_MAX, timeout: IDLE_CONNECTION_MS } as const;
    this.#responseMaxBytes = responseMaxBytes;
    this.#plain = new HttpAgent(kept);
    this.#secure = new HttpsAgent(ca === undefined ? kept : { ...kept, ca });
  }

  /** Rejects with ExchangeError; with whatever when `signal` is aborted. */
  exchange({ method, url, headers, body }: HttpRequest, signal: AbortSignal, large?: LargeAnswer): Promise<HttpAnswer> {
    const options: RequestOptions = { method, headers: { ...headers }, signal };
    const secure = url.startsWith("https:");
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => reject(error instanceof ExchangeError ? error : exchangeError(error));
      const onAnswer = (answer: IncomingMessage): void => {
        readBody(answer, this.#responseMaxBytes, large).then(
          (bytes) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: bytes }),
          fail,
        );
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

async function readBody(answer: IncomingMessage, bytesMax: number, large: LargeAnswer | undefined): Promise<Buffer> {
  // What is thrown in this loop destroys the answer and its connection.
  const chunks: Buffer[] = [];
  let bytes = 0;
  let asked = large === undefined;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new ExchangeError("RESPONSE_TOO_LARGE", `The answer is over ${bytesMax} bytes.`);
    chunks.push(chunk);
    if (asked || bytes <= large!.overBytes) continue;
    asked = true;
    await large!.room();
  }
  return Buffer.concat(chunks);
}

function exchangeError(error: Error): ExchangeError {
  const { code = "" } = error as NodeJS.ErrnoException;
  const failed = codeOf(code);
  return new ExchangeError(failed, `${SAID[failed]} (${code === "" ? error.name : code}).`);
}

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
