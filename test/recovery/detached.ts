/** Streams as a promotion finds them: filled as at the first site, and then following nobody. */
import type { NatsConnection } from "@nats-io/transport-node";
import { askStream, storedMessage, streamInfo } from "../../runtime/log/jetstream-api.ts";
import { appendAcknowledged } from "../../runtime/log/publish-ack.ts";
import { detachedConfig, type MirroredStream, mirroredStreams, updateStream } from "../../runtime/mirror/mirrored-streams.ts";

export interface Message {
  readonly subject: string;
  readonly text?: string;
  readonly headers?: ReadonlyMap<string, string>;
}

/** Gives the sequence of the last message. */
export async function fill(nc: NatsConnection, stream: string, subjects: readonly string[], messages: readonly Message[]): Promise<number> {
  const config = { name: stream, subjects, retention: "limits", storage: "file", discard: "new", num_replicas: 1, max_bytes: 1 << 20 };
  await askStream(nc, stream, `STREAM.CREATE.${stream}`, config);
  let last = 0;
  for (const { subject, text = "", headers } of messages)
    last = await appendAcknowledged(nc, subject, Buffer.from(text), { stream, headers });
  return last;
}

export async function detachAll(nc: NatsConnection, streams: readonly string[]): Promise<readonly MirroredStream[]> {
  for (const stream of streams) {
    const info = await streamInfo(nc, stream);
    await updateStream(
      nc,
      detachedConfig({ origin: info.config, originCreated: info.created, site: "site-a", info } as MirroredStream),
      stream,
    );
  }
  return await mirroredStreams(nc);
}

/** The same connection, of a process that dies before it has changed something once more. */
export function endingAfter(nc: NatsConnection, changes: number): NatsConnection {
  let left = changes;
  return new Proxy(nc, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      // Whoever asks again and again sees that it is over.
      if (name === "isClosed") return () => left < 0;
      if (name !== "request") return value.bind(target);
      return async (subject: string, ...rest: unknown[]) => {
        if (/STREAM\.(CREATE|UPDATE|DELETE|MSG\.DELETE)\./.test(subject) && left-- <= 0) throw new Error("the process died");
        return await (value as (...words: unknown[]) => unknown).call(target, subject, ...rest);
      };
    },
  });
}

/** The same connection, on which something is done once, with the first request that is meant, before it is answered. */
export function doingBefore(nc: NatsConnection, isMeant: (subject: string, body: string) => boolean, act: () => Promise<void>) {
  let done = false;
  return new Proxy(nc, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      if (name !== "request") return value.bind(target);
      return async (subject: string, body: string, ...rest: unknown[]) => {
        if (!done && isMeant(subject, body)) {
          done = true;
          await act();
        }
        return await (value as (...words: unknown[]) => unknown).call(target, subject, body, ...rest);
      };
    },
  });
}

/** The same connection, to which answers come as `edit` has them. */
export function answeredOtherwise(nc: NatsConnection, edit: (subject: string, body: string, answer: unknown) => unknown): NatsConnection {
  return new Proxy(nc, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      if (name !== "request") return value.bind(target);
      return async (subject: string, body: string, ...rest: unknown[]) => {
        const answer = await (value as NatsConnection["request"]).call(target, subject, body, ...(rest as []));
        return { json: () => edit(subject, body, answer.json()) };
      };
    },
  });
}

export async function messagesOf(nc: NatsConnection, stream: string): Promise<unknown[]> {
  const messages: unknown[] = [];
  for (let seq = 1; ; ) {
    const message = await storedMessage(nc, stream, { next_by_subj: ">", seq });
    if (message === undefined) return messages;
    messages.push({ ...message, payload: Buffer.from(message.payload).toString() });
    seq = message.sequence + 1;
  }
}
