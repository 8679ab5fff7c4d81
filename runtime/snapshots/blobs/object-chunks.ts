/**
 * Reads the chunks of one object of a JetStream object store, by batches of direct gets.
 *
 * Not through the client's `get`: that leaves a consumer behind for five minutes, hundreds of them after one restore, and
 * waits for ever when the chunks are gone. A direct get may be answered by a replica that is behind: what it gives is
 * checked by number and digest, and the caller asks again.
 */
import { createInbox, type Msg, type NatsConnection } from "@nats-io/transport-node";

/** Far below the 64 MiB that the server keeps for a connection before it drops it, with four reads at a time. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** More than a batch can have: the smallest chunk that a server's max_payload may force. */
const BATCH_CHUNKS = 4_096;
const QUIET_MS = 5_000;
const NOT_FOUND = 404;
const END_OF_BATCH = 204;

/** The bytes under `subject`, at most `bytesMax`: what is beyond is left out, and the digest tells. */
export async function readObjectChunks(nc: NatsConnection, stream: string, subject: string, bytesMax: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (let from = 1; bytes < bytesMax; ) {
    const batch = await readBatch(nc, stream, subject, from);
    if (batch.chunks.length === 0) break;
    for (const chunk of batch.chunks) {
      bytes += chunk.length;
      chunks.push(chunk);
    }
    from = batch.last + 1;
    if (batch.pending === 0) break;
  }
  return Buffer.concat(chunks, Math.min(bytes, bytesMax));
}

interface Batch {
  readonly chunks: readonly Uint8Array[];
  /** Sequence of the last one. */
  readonly last: number;
  /** How many follow. */
  readonly pending: number;
}

/** Rejects when the server is silent for {@link QUIET_MS}, or refuses. */
async function readBatch(nc: NatsConnection, stream: string, subject: string, from: number): Promise<Batch> {
  const chunks: Uint8Array[] = [];
  let last = from;
  const inbox = createInbox();
  return await new Promise<Batch>((resolve, reject) => {
    const subscription = nc.subscribe(inbox, { callback: (error, msg) => (error ? end(() => reject(error)) : take(msg)) });
    const quiet = setTimeout(() => end(() => reject(new Error(`no answer for ${QUIET_MS} ms`))), QUIET_MS);
    const end = (settle: () => void): void => {
      clearTimeout(quiet);
      subscription.unsubscribe();
      settle();
    };
    const take = (msg: Msg): void => {
      quiet.refresh();
      const status = msg.headers?.code ?? 0;
      if (status === 0) {
        chunks.push(msg.data);
        last = Number(msg.headers?.get("Nats-Sequence") ?? last);
      } else if (status === END_OF_BATCH || status === NOT_FOUND) {
        const pending = status === NOT_FOUND ? 0 : Number(msg.headers?.get("Nats-Num-Pending") || 0);
        end(() => resolve({ chunks, last, pending }));
      } else end(() => reject(new Error(msg.headers?.description || `status ${status}`)));
    };
    const request = JSON.stringify({ seq: from, next_by_subj: subject, batch: BATCH_CHUNKS, max_bytes: BATCH_BYTES });
    nc.publish(`$JS.API.DIRECT.GET.${stream}`, request, { reply: inbox });
  });
}
