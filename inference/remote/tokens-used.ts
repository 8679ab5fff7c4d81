/** What an OpenAI-compatible server says that a request cost. */
import { valueAt } from "./json-pointer.ts";

const TOKENS_SAID_MAX = 1_000_000_000;

/** `undefined` when the server does not say: then what it may have cost at the most has to do. */
export function tokensUsed(json: unknown): number | undefined {
  const total = valueAt(json, ["usage", "total_tokens"]);
  const isTold = typeof total === "number" && Number.isInteger(total) && total >= 0 && total <= TOKENS_SAID_MAX;
  return isTold ? total : undefined;
}
