/**
 * Asks a node's HTTP API. Every question has a deadline and one try: what may be repeated is the caller's to know. An
 * answer that is no Tidemark answer is said to be one, not guessed at.
 */
import { isTidemarkError, TidemarkError } from "../../../runtime/errors.ts";
import { problemOf } from "./api-problem.ts";
import { type ServerEvent, serverEvents } from "./server-events.ts";

export type Query = Readonly<Record<string, string | number | undefined>>;

export interface Question {
  readonly query?: Query;
  /** Sent as JSON unless it is bytes. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Until the answer is there as a whole. Default 30 s. */
  readonly timeoutMs?: number;
  /** Statuses beside 2xx whose body is an answer and no problem. */
  readonly alsoOk?: readonly number[];
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

const TIMEOUT_MS = 30_000;
const PAGE = 1_000;

export class ApiClient {
  readonly url: string;
  readonly #token: string | undefined;

  constructor(url: string, token: string | undefined) {
    this.url = url;
    this.#token = token;
  }

  /** The body of a successful answer. Fails with an {@link ApiProblem}, API_UNREACHABLE or API_UNEXPECTED. */
  async get(path: string, query?: Query): Promise<unknown> {
    return (await this.ask("GET", path, query === undefined ? {} : { query })).body;
  }

  async ask(method: "GET" | "POST" | "PUT" | "DELETE", path: string, question: Question = {}): Promise<Answer> {
    const deadline = new AbortController();
    // Not AbortSignal.timeout: that one keeps the request, with its body, until the time is over, however soon the answer came.
    const timer = setTimeout(() => deadline.abort(), question.timeoutMs ?? TIMEOUT_MS);
    let response: Response;
    let body: unknown;
    try {
      response = await this.#fetch(method, path, question, deadline.signal);
      body = await this.#json(response, path);
    } finally {
      clearTimeout(timer);
    }
    if (response.ok || question.alsoOk?.includes(response.status) === true)
      return { status: response.status, headers: response.headers, body };
    throw problemOf(response.status, response.headers, body, this.url);
  }

  /** A list that comes as a whole, as its one page. */
  async *whole(path: string): AsyncGenerator<readonly unknown[]> {
    yield this.#listOf(path, await this.get(path)).items;
  }

  /** The items of a list, page by page, at most `limit` of them. */
  async *pages(path: string, query: Query, limit = Number.POSITIVE_INFINITY): AsyncGenerator<readonly unknown[]> {
    let left = limit;
    let cursor: string | undefined;
    while (left > 0) {
      const { items, next } = this.#listOf(path, await this.get(path, { ...query, limit: Math.min(PAGE, left), cursor }));
      if (next !== null && next === cursor) throw this.unexpected(path, "a list that leads to itself");
      left -= items.length;
      if (items.length > 0) yield items;
      if (next === null) return;
      cursor = next;
    }
  }

  /** Server-sent events behind `lastEventId`; resolves once the server has agreed. The events end with the connection. */
  async events(path: string, query: Query, lastEventId: string | undefined, signal: AbortSignal): Promise<AsyncIterable<ServerEvent>> {
    const headers = { accept: "text/event-stream", ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }) };
    const response = await this.#fetch("GET", path, { query, headers }, signal);
    if (!response.ok) throw problemOf(response.status, response.headers, await this.#json(response, path), this.url);
    if (response.body === null || response.headers.get("content-type")?.startsWith("text/event-stream") !== true)
      throw this.unexpected(path, "no stream of events");
    return this.#unbroken(serverEvents(response.body));
  }

  unexpected(path: string, what: string): TidemarkError {
    return new TidemarkError("API_UNEXPECTED", `${this.url}${path} answered with ${what}.`);
  }

  #listOf(path: string, body: unknown): { readonly items: readonly unknown[]; readonly next: string | null } {
    const { items, next } = (body ?? {}) as { readonly items?: unknown; readonly next?: unknown };
    if (!Array.isArray(items) || (next !== null && typeof next !== "string")) throw this.unexpected(path, "no list");
    return { items, next };
  }

  async *#unbroken(events: AsyncIterable<ServerEvent>): AsyncGenerator<ServerEvent> {
    try {
      yield* events;
    } catch (error) {
      throw isTidemarkError(error) ? error : this.#unreachable(error);
    }
  }

  async #fetch(method: string, path: string, question: Question, signal: AbortSignal): Promise<Response> {
    const { query = {}, body, headers = {} } = question;
    const params = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) params.set(name, String(value));
    const search = params.size === 0 ? "" : `?${params}`;
    const isBytes = body instanceof Uint8Array;
    const init: RequestInit = {
      method,
      // A token must not follow a redirect to somebody else.
      redirect: "error",
      headers: {
        accept: "application/json",
        ...(body === undefined || isBytes ? {} : { "content-type": "application/json" }),
        ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isBytes ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body) }),
      signal,
    };
    try {
      return await fetch(`${this.url}${path}${search}`, init);
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  async #json(response: Response, path: string): Promise<unknown> {
    let text: string;
    try {
      text = await response.text();
    } catch (error) {
      throw this.#unreachable(error);
    }
    try {
      return JSON.parse(text);
    } catch {
      throw this.unexpected(path, `${response.status} and no JSON`);
    }
  }

  #unreachable(error: unknown): TidemarkError {
    const { name, message, cause } = error as Error;
    const { code, message: why } = (cause ?? {}) as Partial<NodeJS.ErrnoException>;
    const reason = name === "AbortError" ? "no answer in time" : (code ?? why ?? message);
    return new TidemarkError("API_UNREACHABLE", `${this.url}: ${reason}.`, { cause: error });
  }
}

/** One step of a path: a key or an id as it is, whatever stands in it. */
export function segment(text: string): string {
  return encodeURIComponent(text);
}
