/**
 * Many stored messages of a stream in one request, filtered by the server: no consumer to create, bounded by messages and
 * by bytes. A follower may answer that lags: what comes is a prefix of what there is, without a hole, never a decision.
 */
import type { JetStreamManager, StoredMsg } from "@nats-io/jetstream";
import { TidemarkError } from "../errors.ts";
import { messageOf } from "./jetstream-api.ts";

export interface DirectBatchQuery {
  readonly stream: string;
  /** First sequence wanted. */
  readonly from: number;
  readonly subject: string;
  /** 1 to 1,000. */
  readonly limit: number;
  /** One message at least comes, however large. */
  readonly bytesMax: number;
  readonly timeoutMs: number;
}

/** Fails with `NATS_UNREACHABLE` when the batch does not come whole within the bound. */
export async function readBatch(jsm: JetStreamManager, query: DirectBatchQuery): Promise<StoredMsg[]> {
  const { stream, timeoutMs } = query;
  const messages: StoredMsg[] = [];
  // The callback form: the iterator form of nats.js leaves its subscription behind.
  await new Promise<void>((resolve, reject) => {
    const fail = (detail: string, cause?: unknown): void => {
      clearTimeout(timer);
      reject(new TidemarkError("NATS_UNREACHABLE", `Stream ${stream} gave no page: ${detail}.`, { cause }));
    };
    const timer = setTimeout(() => {
      fail(`nothing came within ${timeoutMs} ms`);
      void batch.then((iterator) => iterator?.stop());
    }, timeoutMs);
    const batch = jsm.direct
      .getBatch(stream, {
        seq: query.from,
        batch: query.limit,
        max_bytes: query.bytesMax,
        next_by_subj: query.subject,
        callback: (done, message) => {
          if (done === null) {
            messages.push(message);
            return;
          }
          clearTimeout(timer);
          // 404: nothing at or behind the start matches.
          if (done.err === undefined || ("code" in done.err && done.err.code === 404)) resolve();
          else fail(done.err.message, done.err);
        },
      } as Parameters<JetStreamManager["direct"]["getBatch"]>[1])
      .catch((error: unknown) => {
        // The connection is closed: no callback comes.
        fail(messageOf(error), error);
      });
  });
  return messages;
}
