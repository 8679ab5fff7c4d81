/**
 * Posts one batch of events until each has its answer. Trying again is safe, whatever became of the try before: an event
 * is known by its key, source and id, so that one which was stored already is counted as a duplicate and changes nothing.
 */
import type { Clock } from "../../../runtime/clock.ts";
import { type ApiClient, segment } from "../client/api-client.ts";
import { ApiProblem, problemOf, retryAfterMs, withoutCode } from "../client/api-problem.ts";
import { mayPass, TRIES_MAX, waitBehind } from "../client/retry.ts";
import type { LaneEvent } from "./event-lanes.ts";
import type { Refusal } from "./json-document.ts";

export interface PostAnswer {
  readonly appended: number;
  readonly refused: readonly Refusal[];
}

export interface PostOptions {
  readonly api: ApiClient;
  readonly log: string;
  readonly clock: Clock;
  /** Aborted: no further try. */
  readonly signal: AbortSignal;
  /** A try failed and is made again in so many milliseconds. */
  readonly retrying: (reason: string, waitMs: number) => void;
}

/** Refusals of single events that are about the moment and not about the event. */
const PASSING = new Set(["NATS_UNREACHABLE", "PUBLISH_OVERLOADED", "PUBLISH_TIMEOUT"]);

interface Result {
  readonly position?: unknown;
  readonly error?: { readonly code?: unknown; readonly detail?: unknown };
}

/** Statuses whose body may have a result for each event: none of them was appended. */
const WITH_RESULTS = [400, 429, 503, 507];

/** Fails with what the last try failed with: an {@link ApiProblem}, API_UNREACHABLE or API_UNEXPECTED. */
export async function postBatch(batch: readonly LaneEvent[], options: PostOptions): Promise<PostAnswer> {
  let waiting = batch;
  let appended = 0;
  const refused: Refusal[] = [];
  for (let tries = 1; ; tries++) {
    let reason: string;
    let askedMs: number | undefined;
    try {
      const { results, retryAfterMs: asked } = await post(waiting, options);
      const again = waiting.filter((_, i) => isPassing(results[i]!));
      for (const [i, { error }] of results.entries()) {
        if (error === undefined) appended++;
        else if (!isPassing(results[i]!)) refused.push(refusalOf(waiting[i]!, error));
      }
      if (again.length === 0) return { appended, refused };
      // One that got through shows that it goes on.
      if (again.length < waiting.length) tries = 1;
      const { error } = results.find(isPassing)!;
      reason = `${error?.code}: ${error?.detail}`;
      waiting = again;
      askedMs = asked;
      if (tries >= TRIES_MAX || options.signal.aborted)
        return { appended, refused: [...refused, ...again.map((event, i) => refusalOf(event, results.filter(isPassing)[i]!.error!))] };
    } catch (error) {
      if (tries >= TRIES_MAX || options.signal.aborted || !mayPass(error)) throw error;
      reason = (error as Error).message;
      if (error instanceof ApiProblem) askedMs = error.retryAfterMs;
    }
    const wait = waitBehind(tries, askedMs);
    options.retrying(reason, wait);
    await untilAborted(options.clock.sleep(wait), options.signal);
  }
}

async function post(
  batch: readonly LaneEvent[],
  { api, log }: PostOptions,
): Promise<{ readonly results: readonly Result[]; readonly retryAfterMs: number | undefined }> {
  const path = `/v1/logs/${segment(log)}/events`;
  const headers = { "content-type": "application/cloudevents-batch+json" };
  const { status, headers: answered, body } = await api.ask("POST", path, { body: arrayOf(batch), headers, alsoOk: WITH_RESULTS });
  const { results } = body as { readonly results?: unknown };
  // Without results the request as a whole was refused.
  if (results === undefined && status >= 400) throw problemOf(status, answered, body, api.url);
  if (!Array.isArray(results) || results.length !== batch.length) throw api.unexpected(path, "other results than events");
  return { results: results as readonly Result[], retryAfterMs: retryAfterMs(answered) };
}

/** The documents as they are: reading and writing them again could change a number. */
function arrayOf(batch: readonly LaneEvent[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { bytes } of batch) parts.push(Buffer.from(parts.length === 0 ? "[" : ","), bytes);
  parts.push(Buffer.from("]"));
  return Buffer.concat(parts);
}

function isPassing({ error }: Result): boolean {
  return error !== undefined && PASSING.has(String(error.code));
}

function refusalOf({ line, id }: LaneEvent, error: NonNullable<Result["error"]>): Refusal {
  const code = String(error.code);
  return { line, id, code, detail: withoutCode(code, String(error.detail)) };
}

async function untilAborted(sleep: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = (): void => resolve();
  signal.addEventListener("abort", stop, { once: true });
  await Promise.race([sleep, promise]);
  signal.removeEventListener("abort", stop);
}
