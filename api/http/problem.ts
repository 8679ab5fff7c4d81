/** Problem documents (RFC 9457) with a stable `code`. */
import type { FastifyReply } from "fastify";
import { isTidemarkError } from "../../runtime/errors.ts";

export class HttpProblem extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

export function notFound(detail: string): HttpProblem {
  return new HttpProblem(404, "NOT_FOUND", detail);
}

export function badRequest(detail: string): HttpProblem {
  return new HttpProblem(400, "BAD_REQUEST", detail);
}

/** Answers with a problem; what was not foreseen shows no inside to the caller. */
export async function sendProblem(reply: FastifyReply, error: unknown): Promise<void> {
  const { status, code, detail } = problemOf(error);
  if (status === 500) process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  await reply
    .code(status)
    .type("application/problem+json")
    .send({ type: "about:blank", title: titleOf(status), status, code, detail });
}

function problemOf(error: unknown): { readonly status: number; readonly code: string; readonly detail: string } {
  if (error instanceof HttpProblem) return { status: error.status, code: error.code, detail: error.message };
  if (isTidemarkError(error)) return { status: 503, code: error.code, detail: error.message };
  const status = (error as { readonly statusCode?: unknown } | null)?.statusCode;
  if (typeof status === "number" && status >= 400 && status < 500) {
    return { status, code: "BAD_REQUEST", detail: error instanceof Error ? error.message : "the request cannot be read" };
  }
  return { status: 500, code: "INTERNAL", detail: "Something unforeseen happened; the node's log says what." };
}

function titleOf(status: number): string {
  const titles: Readonly<Record<number, string>> = {
    400: "Bad Request",
    404: "Not Found",
    413: "Content Too Large",
    414: "URI Too Long",
    503: "Service Unavailable",
  };
  return titles[status] ?? (status < 500 ? "Request refused" : "Internal Server Error");
}
