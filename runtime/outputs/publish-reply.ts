/**
 * What a stream answers to a publish, and the codes of its refusals: those of the server as they are, and our own.
 */
import type { Refusal } from "./output-stream.ts";

export const REFUSALS = {
  /** Another message was stored in between, or the stream is another one. */
  wrongLastSequence: "10071",
  /** The same, found while a message is in flight to the replicas; the server does not say the sequence. */
  wrongLastSequenceInFlight: "10164",
  /** The message before is not ours. */
  wrongLastMessageId: "10070",
  /** `max_bytes` is reached. */
  streamFull: "10077",
  /** Larger than the stream or the server takes. */
  tooLarge: "10054",
  /** No stream takes the subject, or its leader is being elected. */
  noResponder: "503",
  /** No answer within the bound; the messages may be stored. */
  noAck: "NO_ACK",
  /** An answer names another sequence than the output's number. */
  misnumbered: "MISNUMBERED",
  connectionClosed: "CONNECTION_CLOSED",
  unreadable: "UNREADABLE_ACK",
} as const;

export type PublishReply = { readonly sequence: number; readonly stream: string } | Refusal;

const decoder = new TextDecoder();

/** Reads an acknowledgement of JetStream: JSON, or an empty message with a status. */
export function readPublishReply(status: number | undefined, data: Uint8Array): PublishReply {
  if (data.length === 0) {
    const code = status === undefined ? REFUSALS.unreadable : String(status);
    return { code, detail: code === REFUSALS.noResponder ? "No stream takes the subject." : "The answer is empty." };
  }
  const text = decoder.decode(data);
  try {
    const ack = JSON.parse(text) as { seq?: number; stream?: string; error?: { code?: number; err_code?: number; description?: string } };
    if (ack.error !== undefined) {
      return { code: String(ack.error.err_code ?? ack.error.code), detail: ack.error.description ?? "" };
    }
    if (typeof ack.seq === "number" && typeof ack.stream === "string") return { sequence: ack.seq, stream: ack.stream };
  } catch {
    // Told below, with the text.
  }
  return { code: REFUSALS.unreadable, detail: text.slice(0, 200) };
}
