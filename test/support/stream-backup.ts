/** What an operator does to a stream with `nats stream backup`, `restore`, `rm`, `purge --seq` and `edit`, by the server's own protocol. */
import assert from "node:assert/strict";
import { createInbox, type NatsConnection } from "@nats-io/transport-node";

export interface StreamBackup {
  readonly stream: string;
  readonly config: unknown;
  readonly state: unknown;
  readonly chunks: readonly Uint8Array[];
}

const CHUNK_BYTES = 128 * 1024;

export async function backUpStream(nc: NatsConnection, stream: string): Promise<StreamBackup> {
  const inbox = createInbox();
  const chunks: Uint8Array[] = [];
  const whole = (async () => {
    for await (const message of nc.subscribe(inbox)) {
      if (message.data.length === 0) return;
      chunks.push(message.data.slice());
      message.respond();
    }
  })();
  const { config, state } = await ask<{ config: unknown; state: unknown }>(nc, `STREAM.SNAPSHOT.${stream}`, {
    deliver_subject: inbox,
    no_consumers: true,
    chunk_size: CHUNK_BYTES,
  });
  await whole;
  return { stream, config, state, chunks };
}

/** In place of what stands under its name. */
export async function restoreStream(nc: NatsConnection, { stream, config, state, chunks }: StreamBackup): Promise<void> {
  await deleteStream(nc, stream);
  const { deliver_subject: subject } = await ask<{ deliver_subject: string }>(nc, `STREAM.RESTORE.${stream}`, { config, state });
  for (const chunk of chunks) await nc.request(subject, chunk, { timeout: 10_000 });
  const end = (await nc.request(subject, "", { timeout: 10_000 })).json<{ error?: unknown }>();
  assert.equal(end.error, undefined);
}

export async function deleteStream(nc: NatsConnection, stream: string): Promise<void> {
  await ask(nc, `STREAM.DELETE.${stream}`, undefined);
}

/** Deletes the messages before `sequence`. */
export async function purgeBefore(nc: NatsConnection, stream: string, sequence: number): Promise<void> {
  await ask(nc, `STREAM.PURGE.${stream}`, { seq: sequence });
}

/** As `nats stream edit` does. */
export async function editStream(nc: NatsConnection, stream: string, edit: object): Promise<void> {
  const { config } = await ask<{ config: object }>(nc, `STREAM.INFO.${stream}`, undefined);
  await ask(nc, `STREAM.UPDATE.${stream}`, { ...config, ...edit });
}

async function ask<T>(nc: NatsConnection, path: string, body: unknown): Promise<T> {
  const request = body === undefined ? "" : JSON.stringify(body);
  const answer = (await nc.request(`$JS.API.${path}`, request, { timeout: 10_000 })).json<T & { error?: unknown }>();
  assert.equal(answer.error, undefined, path);
  return answer;
}
