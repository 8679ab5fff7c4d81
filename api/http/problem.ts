/** Problem documents (RFC 9457) with a stable `code`. What was not foreseen shows no inside to the caller. */
import { STATUS_CODES } from "node:http";
import { Type } from "typebox";
import { type ErrorCode, isTidemarkError, type TidemarkError } from "../../runtime/errors.ts";

export const PROBLEM_MEDIA_TYPE = "application/problem+json";

/** The answer of every call that fails. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: "Always about:blank: the code says which problem it is." }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code: Type.String({ pattern: "^[A-Z][A-Z0-9_]*$", description: "Stable; programs decide by it." }),
    detail: Type.String({ description: "For people: what was wrong and what to do." }),
  },
  { description: "RFC 9457" },
);

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

/** Codes of refusals that are Fastify's or Node's own. */
const REFUSALS: Readonly<Record<number, string>> = {
  408: "REQUEST_TIMEOUT",
  413: "BODY_TOO_LARGE",
  414: "URI_TOO_LONG",
  415: "UNSUPPORTED_MEDIA_TYPE",
  431: "HEADERS_TOO_LARGE",
};

/** Statuses of Tidemark's codes; 503 for all others: what stops the node from answering may pass. */
const STATUSES: Partial<Readonly<Record<ErrorCode, number>>> = {
  CODE_UNAVAILABLE: 409,
  APP_INVALID: 422,
  CODE_VERSION_UNCHANGED: 409,
  EVENT_TOO_LARGE: 413,
  HISTORY_TRIMMED: 410,
  INPUT_INVALID: 400,
  GENERATION_ACTIVE: 409,
  GENERATION_INVALID: 400,
  GENERATION_MISSING: 404,
  MODEL_FORMAT: 409,
  MODEL_INVALID: 400,
  MODEL_MISSING: 404,
  GENERATION_PUMPED: 409,
  GENERATION_TAKEN: 409,
  KEY_INVALID: 400,
  LOG_CONFLICT: 409,
  LOG_FULL: 507,
  LOG_MISSING: 404,
  LOG_TRIMMED: 409,
  LOG_TRUNCATED: 409,
  NOT_YET: 504,
  OPERATIONS_BUSY: 429,
  OUTPUTS_TRUNCATED: 409,
  PUBLISH_OVERLOADED: 429,
  PUBLISH_TIMEOUT: 504,
  RESTORE_BUSY: 409,
  SNAPSHOT_DAMAGED: 409,
  SNAPSHOT_FOREIGN: 409,
  SNAPSHOT_FORMAT: 409,
  SNAPSHOT_INCOMPLETE: 409,
  SNAPSHOT_KEY_MISSING: 409,
  SNAPSHOT_MISSING: 404,
  STATE_DAMAGED: 500,
  TEST_INPUT: 422,
};

/** What `error` is to a caller. Anything that is no problem, no TidemarkError and no refusal of Fastify's is 500 INTERNAL. */
export function problemOf(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) return error;
  if (isTidemarkError(error)) return ofTidemark(error);
  const status = (error as { readonly statusCode?: unknown } | null)?.statusCode;
  if (typeof status === "number" && status >= 400 && status < 500) {
    const detail = error instanceof Error ? error.message : "the request cannot be read";
    return new HttpProblem(status, REFUSALS[status] ?? "BAD_REQUEST", detail);
  }
  return new HttpProblem(500, "INTERNAL", "Something unforeseen happened; the node's log says what.");
}

function ofTidemark({ code, message }: TidemarkError): HttpProblem {
  const status = STATUSES[code] ?? 503;
  return new HttpProblem(status, code, message, status === 429 || status === 503 ? { "retry-after": "1" } : {});
}

export function problemDocument({ status, code, message }: HttpProblem): ProblemDocument {
  return { type: "about:blank", title: STATUS_CODES[status] ?? "Error", status, code, detail: message };
}
