/**
 * A batch that the server refuses is asked for again in halves, so that one bad row fails by itself and not its
 * neighbours with it. Only so many further requests are made: when all rows are bad, most are not asked for one by one.
 */
import { InferenceError } from "../failures.ts";
import type { ModelAnswer } from "../inference.ts";
import { SPLIT_REQUESTS_MAX } from "./bounds.ts";

/** What a server says of a request that it does not like, or that is too large for it. */
const SPLIT_AT: ReadonlySet<string> = new Set(["HTTP_400", "HTTP_413", "HTTP_422"]);

type Ask<T> = (rows: readonly T[]) => Promise<readonly ModelAnswer[]>;

/** Rejects as `ask` does for the whole batch; of parts of it the failures are the rows' own. */
export async function askInHalves<T>(rows: readonly T[], ask: Ask<T>): Promise<readonly ModelAnswer[]> {
  let left = SPLIT_REQUESTS_MAX;
  const halves = async (part: readonly T[]): Promise<readonly ModelAnswer[]> => {
    left -= 2;
    const middle = part.length >> 1;
    return [...(await again(part.slice(0, middle))), ...(await again(part.slice(middle)))];
  };
  const again = async (part: readonly T[]): Promise<readonly ModelAnswer[]> => {
    try {
      return await ask(part);
    } catch (error) {
      if (!(error instanceof InferenceError)) throw error;
      if (isSplit(error, part) && left >= 2) return halves(part);
      // Rows that were not told apart may have failed for another one's fault.
      const failed = { ...error.failure, again: error.failure.again || part.length > 1 };
      return part.map(() => ({ failed }));
    }
  };
  try {
    return await ask(rows);
  } catch (error) {
    if (!(error instanceof InferenceError) || !isSplit(error, rows)) throw error;
    return halves(rows);
  }
}

function isSplit({ failure }: InferenceError, rows: readonly unknown[]): boolean {
  return rows.length > 1 && SPLIT_AT.has(failure.code);
}
