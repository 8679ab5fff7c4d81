/**
 * What a stream says to a publish: stored at a sequence, or refused; and what each refusal means.
 * Acknowledgements of the hot path are read from their bytes: a success has one fixed shape.
 */
import { setTimeout as delay } from "node:timers/promises";
import { headers, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import { TidemarkError } from "../errors.ts";
import { type ApiError, messageOf, SERVER_ERROR } from "./jetstream-api.ts";

/** What may be tried again with the same bytes, and what is final. */
type PublishRefusal = { readonly retry: true; readonly detail: string } | { readonly retry: false; readonly error: TidemarkError };

export interface PublishAck {
  readonly stream: string;
  readonly sequence: number;
}

const QUOTE = 34;
const ZERO = 48;
const NINE = 57;
/** `{"stream":"`, as nats-server writes every success. */
const SUCCESS = Buffer.from('{"stream":"');
/** Behind it, where the server has a JetStream domain. */
const DOMAIN = Buffer.from('"domain":"');
const SEQUENCE = Buffer.from('"seq":');

/** Reads an acknowledgement; gives the server's error when it is a refusal. */
export function readPublishAck(payload: Uint8Array): PublishAck | ApiError {
  const fast = readSuccess(payload);
  if (fast !== undefined) return fast;
  let answer: { stream?: unknown; seq?: unknown; error?: ApiError };
  try {
    answer = JSON.parse(Buffer.from(payload).toString()) as typeof answer;
  } catch {
    return { code: 500, err_code: 0, description: "an acknowledgement that is not JSON" };
  }
  if (answer?.error !== undefined) return answer.error;
  if (typeof answer?.stream === "string" && typeof answer.seq === "number" && answer.seq > 0) {
    return { stream: answer.stream, sequence: answer.seq };
  }
  return { code: 500, err_code: 0, description: "an acknowledgement of unknown shape" };
}

export function isAck(answer: PublishAck | ApiError): answer is PublishAck {
  return "sequence" in answer;
}

function readSuccess(payload: Uint8Array): PublishAck | undefined {
  for (let i = 0; i < SUCCESS.length; i++) if (payload[i] !== SUCCESS[i]) return undefined;
  let at = SUCCESS.length;
  let stream = "";
  for (; at < payload.length && payload[at] !== QUOTE; at++) stream += String.fromCharCode(payload[at]!);
  at += 2;
  if (isAt(payload, at, DOMAIN)) at = payload.indexOf(QUOTE, at + DOMAIN.length) + 2;
  if (payload[at] === 32) at++;
  if (!isAt(payload, at, SEQUENCE)) return undefined;
  let sequence = 0;
  for (at += SEQUENCE.length; at < payload.length; at++) {
    const byte = payload[at]!;
    if (byte < ZERO || byte > NINE) break;
    sequence = sequence * 10 + byte - ZERO;
  }
  return sequence > 0 ? { stream, sequence } : undefined;
}

function isAt(payload: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (payload[at + i] !== text[i]) return false;
  return true;
}

/** What a refusal means for a publish on `subject`. */
export function refusalOfPublish(error: ApiError, subject: string): PublishRefusal {
  const detail = `${subject}: ${error.description} (${error.err_code}).`;
  switch (error.err_code) {
    case SERVER_ERROR.storeFailed:
      // One code for every failure of the store; only the limits are final.
      return /maximum|exceeded/.test(error.description) ? final("LOG_FULL", detail) : { retry: true, detail };
    case SERVER_ERROR.storageExceeded:
      return final("LOG_FULL", detail);
    case SERVER_ERROR.messageTooLarge:
      return final("EVENT_TOO_LARGE", detail);
    case SERVER_ERROR.wrongLastSequence:
    case SERVER_ERROR.wrongLastSequenceUnknown:
      return final("LOG_CONFLICT", detail);
    case SERVER_ERROR.otherStreamExpected:
      return final("LOG_LAYOUT", detail);
    default:
      return { retry: true, detail };
  }
}

function final(code: ConstructorParameters<typeof TidemarkError>[0], detail: string): PublishRefusal {
  return { retry: false, error: new TidemarkError(code, detail) };
}

interface AppendRequest {
  readonly stream: string;
  readonly headers?: ReadonlyMap<string, string> | undefined;
  readonly expectedLastSubjectSequence?: number | undefined;
  /** Default 2 s. */
  readonly ackTimeoutMs?: number | undefined;
  /** Default 6. */
  readonly tries?: number | undefined;
}

const ACK_TIMEOUT_MS = 2_000;
const TRIES = 6;
const BACKOFF_MS = 50;
const NO_RESPONDERS = 503;

/**
 * Publishes one message and waits for its acknowledgement; gives its sequence. Nobody there, or a leader that is changing, is tried
 * again. With an expected sequence a lost acknowledgement is not: the second try would meet the first and look like a conflict.
 */
export async function appendAcknowledged(
  nc: NatsConnection,
  subject: string,
  payload: Uint8Array,
  request: AppendRequest,
): Promise<number> {
  const conditional = request.expectedLastSubjectSequence !== undefined;
  const head = headersOf(request);
  checkSize(nc, subject, payload, head);
  const tries = request.tries ?? TRIES;
  for (let attempt = 1; ; attempt++) {
    const outcome = await tryAppend(nc, subject, payload, head, request.ackTimeoutMs ?? ACK_TIMEOUT_MS);
    if (typeof outcome === "number") return outcome;
    if (outcome.error !== undefined) throw outcome.error;
    const mayBeStored = outcome.code === "PUBLISH_TIMEOUT" && !outcome.refused;
    if (attempt >= tries || nc.isClosed() || (conditional && mayBeStored)) throw new TidemarkError(outcome.code, outcome.detail);
    await delay(BACKOFF_MS * 2 ** (attempt - 1));
  }
}

type Outcome =
  | number
  | { readonly error: TidemarkError }
  | {
      readonly error?: undefined;
      readonly code: "LOG_MISSING" | "PUBLISH_TIMEOUT";
      readonly detail: string;
      /** The server said no: nothing was stored. */
      readonly refused: boolean;
    };

async function tryAppend(
  nc: NatsConnection,
  subject: string,
  payload: Uint8Array,
  head: MsgHdrs | undefined,
  timeout: number,
): Promise<Outcome> {
  try {
    const msg = await nc.request(subject, payload, { timeout, ...(head === undefined ? {} : { headers: head }) });
    if (msg.headers?.code === NO_RESPONDERS) return { code: "LOG_MISSING", detail: `${subject}.`, refused: true };
    const answer = readPublishAck(msg.data);
    if (isAck(answer)) return answer.sequence;
    const refusal = refusalOfPublish(answer, subject);
    return refusal.retry ? { code: "PUBLISH_TIMEOUT", detail: refusal.detail, refused: true } : { error: refusal.error };
  } catch (error) {
    const nobody = error instanceof Error && /no responders/i.test(`${error.name} ${error.message}`);
    return { code: nobody ? "LOG_MISSING" : "PUBLISH_TIMEOUT", detail: `${subject}: ${messageOf(error)}.`, refused: nobody };
  }
}

function headersOf(request: AppendRequest): MsgHdrs | undefined {
  const { headers: own, expectedLastSubjectSequence: expected } = request;
  if ((own === undefined || own.size === 0) && expected === undefined) return undefined;
  const head = headers();
  for (const [name, value] of own ?? []) head.set(name, value);
  if (expected !== undefined) head.set("Nats-Expected-Last-Subject-Sequence", String(expected));
  return head;
}

function checkSize(nc: NatsConnection, subject: string, payload: Uint8Array, head: MsgHdrs | undefined): void {
  const max = nc.info?.max_payload;
  if (max === undefined) return;
  const bytes = payload.length + (head === undefined ? 0 : Buffer.byteLength(String(head)));
  if (bytes > max) throw new TidemarkError("EVENT_TOO_LARGE", `${subject}: ${bytes} bytes, the server takes ${max}.`);
}
