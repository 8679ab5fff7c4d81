/** Problem documents (RFC 9457) with a stable `code`. What was not foreseen shows no inside to the caller. */
import { STATUS_CODES } from "node:http";
import { isTidemarkError } from "../../runtime/errors.ts";

export const PROBLEM_MEDIA_TYPE = "application/problem+json";

export interface ProblemDocument {
  readonly type: "about:blank";
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
}

export class HttpProblem extends Error {
  readonly status: number;
  readonly code: string;
  /** Sent with the problem: `retry-after`, `www-authenticate`, `allow`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

export function notFound(detail: string): HttpProblem {
  return new HttpProblem(404, "NOT_FOUND", detail);
}

export function badRequest(detail: string): HttpProblem {
  return new HttpProblem(400, "BAD_REQUEST", detail);
}

/** What `error` is to a caller. Anything that is no problem, no TidemarkError and no refusal of Fastify's is 500 INTERNAL. */
export function problemOf(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) return error;
  if (isTidemarkError(error)) return new HttpProblem(503, error.code, error.message);
  const status = (error as { readonly statusCode?: unknown } | null)?.statusCode;
  if (typeof status === "number" && status >= 400 && status < 500) {
    return new HttpProblem(status, "BAD_REQUEST", error instanceof Error ? error.message : "the request cannot be read");
  }
  return new HttpProblem(500, "INTERNAL", "Something unforeseen happened; the node's log says what.");
}

export function problemDocument({ status, code, message }: HttpProblem): ProblemDocument {
  return { type: "about:blank", title: STATUS_CODES[status] ?? "Error", status, code, detail: message };
}
