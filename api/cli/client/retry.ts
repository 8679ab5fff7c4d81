/** When a question to the API is worth asking again, and how long to wait before. For questions that may be repeated only. */
import type { Clock } from "../../../runtime/clock.ts";
import { isTidemarkError } from "../../../runtime/errors.ts";
import { ApiProblem } from "./api-problem.ts";

const WAIT_MS = 100;
const WAIT_MAX_MS = 2_000;
/** What a server may ask to wait. */
const RETRY_AFTER_MAX_MS = 30_000;
/** Tries in a row that bring nothing forward: about 33 s, so that a node that is started again is waited for. */
export const TRIES_MAX = 20;

/** Before the try after this one, counted from 1; longer when the server asked for it. */
export function waitBehind(tries: number, askedMs: number | undefined): number {
  const wait = Math.min(WAIT_MS * 2 ** (tries - 1), WAIT_MAX_MS);
  return askedMs === undefined ? wait : Math.min(Math.max(wait, askedMs), RETRY_AFTER_MAX_MS);
}

/** The node sheds load, starts, has lost its server, or cannot be reached: it may be otherwise in a moment. */
export function mayPass(error: unknown): boolean {
  if (error instanceof ApiProblem) return error.status === 429 || error.status === 503 || error.status === 504;
  return isTidemarkError(error, "API_UNREACHABLE");
}

/** Asks until there is an answer or a refusal that stays; tells of each wait. */
export async function withRetries<T>(ask: () => Promise<T>, clock: Clock, retrying: (reason: string, waitMs: number) => void): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (tries >= TRIES_MAX || !mayPass(error)) throw error;
      const wait = waitBehind(tries, error instanceof ApiProblem ? error.retryAfterMs : undefined);
      retrying((error as Error).message, wait);
      await clock.sleep(wait);
    }
  }
}
