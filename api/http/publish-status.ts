/** HTTP statuses of what a log answers to an append. */
import { type ErrorCode, isTidemarkError } from "../../runtime/errors.ts";
import { HttpProblem } from "./problem.ts";

/** Seconds after which trying again is worth it. */
const RETRY_AFTER = { "retry-after": "1" };

/** 400: never try this event again. 429, 503: the same again later. 507: when the log has room again. */
export function statusOfRefusal(code: ErrorCode): 400 | 429 | 503 | 507 {
  switch (code) {
    case "EVENT_INVALID":
    case "EVENT_TOO_LARGE":
    case "KEY_INVALID":
      return 400;
    case "PUBLISH_OVERLOADED":
      return 429;
    case "LOG_FULL":
      return 507;
    default:
      return 503;
  }
}

export function retryHeaders(status: number): Readonly<Record<string, string>> {
  return status === 429 || status === 503 ? RETRY_AFTER : {};
}

/** Waits for an append; what the log refuses becomes a problem with its status. */
export async function appended<T>(append: Promise<T>): Promise<T> {
  try {
    return await append;
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    const status = statusOfRefusal(error.code);
    throw new HttpProblem(status, error.code, error.message, retryHeaders(status));
  }
}
