/** What the API refused, as the problem document says it, with what to do about it. */

import { TidemarkError } from "../../../runtime/errors.ts";

const DETAIL_CHARS_MAX = 2_000;
const CODE_CHARS_MAX = 64;

/** By status, for problems whose code has no advice of its own. */
const ADVICE: Readonly<Record<number, string>> = {
  401: "Give a token with --token-file or TIDEMARK_TOKEN.",
  403: "Use a token whose role may do this.",
  429: "The node sheds load: try again in a moment.",
  503: "Try again in a moment; `tidemark doctor` tells what is wrong.",
  504: "Try again in a moment; `tidemark doctor` tells what is wrong.",
};

export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  /** What the server asks to wait; undefined when it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(problem: {
    readonly status: number;
    readonly code: string;
    readonly detail: string;
    readonly retryAfterMs?: number | undefined;
  }) {
    const { status, code, detail } = problem;
    super([`${code}: ${detail}`, ADVICE[status]].filter((part) => part !== undefined).join(" "));
    this.name = "ApiProblem";
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfterMs = problem.retryAfterMs;
  }
}

export function isApiProblem(error: unknown): error is ApiProblem {
  return error instanceof ApiProblem;
}

/** The refusal that an answer is; API_UNEXPECTED when it is no problem document. */
export function problemOf(status: number, headers: Headers, body: unknown, url: string): Error {
  const { code, detail } = (body ?? {}) as { readonly code?: unknown; readonly detail?: unknown };
  if (typeof code !== "string" || typeof detail !== "string")
    return new TidemarkError("API_UNEXPECTED", `${url} answered with ${status} and no problem document.`);
  return new ApiProblem({
    status,
    code: code.slice(0, CODE_CHARS_MAX),
    detail: withoutCode(code, detail).slice(0, DETAIL_CHARS_MAX),
    retryAfterMs: retryAfterMs(headers),
  });
}

/** What `Retry-After` asks for, in seconds; undefined when it does not, or names a date. */
export function retryAfterMs(headers: Headers): number | undefined {
  const text = headers.get("retry-after");
  return text !== null && /^\d{1,6}$/.test(text) ? Number(text) * 1_000 : undefined;
}

/** The text of an error of Tidemark begins with its code: said once is enough. */
export function withoutCode(code: string, detail: string): string {
  return detail.startsWith(`${code}: `) ? detail.slice(code.length + 2) : detail;
}
