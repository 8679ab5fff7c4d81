/**
 * Follows the live stream of outputs over lost connections: each time it asks for what comes behind the last one seen.
 * Waits grow to 5 s; after 60 tries in a row without an output it gives up.
 */
import { systemClock } from "../../../runtime/clock.ts";
import { isTidemarkError, TidemarkError } from "../../../runtime/errors.ts";
import type { ApiClient, Query } from "./api-client.ts";
import { ApiProblem } from "./api-problem.ts";

const WAIT_MS = 250;
const WAIT_MAX_MS = 5_000;
const TRIES_MAX = 60;

/** Yields outputs one by one, each as a page of its own. Ends when `signal` is aborted. */
export async function* followOutputs(
  api: ApiClient,
  query: Query,
  signal: AbortSignal,
  notice: (what: string) => void,
): AsyncGenerator<readonly unknown[]> {
  let last: string | undefined;
  let everConnected = false;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    try {
      // The cursor that resumes says where to go on: `from` is for the first time only.
      const events = await api.events("/v1/outputs/stream", last === undefined ? query : { ...query, from: undefined }, last, signal);
      notice(everConnected ? "connected again" : `following ${api.url}; Ctrl-C ends it`);
      everConnected = true;
      for await (const { id, data } of events) {
        tries = 0;
        last = id ?? last;
        if (data !== undefined) yield [JSON.parse(data)];
      }
    } catch (error) {
      if (signal.aborted) return;
      // Outputs that were followed are fewer now: a cursor of ours that is ahead of its stream, though nobody gave one.
      if (last !== undefined && error instanceof ApiProblem && error.status === 400)
        throw new ApiProblem({ ...error, detail: "The job was folded anew, and its outputs begin anew: give the command again." });
      // A wrong address or a refusal is told at once; only what was there once can be lost.
      if (!everConnected || !isPassing(error)) throw error;
    }
    if (signal.aborted) return;
    if (tries === 0) notice("the stream of outputs was lost; connecting again");
    await systemClock.sleep(Math.min(WAIT_MS * 2 ** Math.min(tries, 10), WAIT_MAX_MS));
  }
  throw new TidemarkError("API_UNREACHABLE", `${api.url} did not come back in ${TRIES_MAX} tries.`);
}

/** A connection that broke, or a node that starts or sheds load. */
function isPassing(error: unknown): boolean {
  if (error instanceof ApiProblem) return error.status === 429 || error.status >= 500;
  return isTidemarkError(error, "API_UNREACHABLE");
}
