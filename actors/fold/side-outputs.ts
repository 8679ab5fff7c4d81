/**
 * The runtime's own outputs: what happened to an event that no handler answered for. Nothing is dropped silently.
 * Texts depend on the entry and the code's epoch alone: no stack, no path, no clock.
 */
import { formatInstant } from "../model/time.ts";
import { ERROR_TEXT_MAX_CHARS, EXCERPT_MAX_BYTES } from "./bounds.ts";
import type { DraftOutput } from "./unit.ts";

export interface FailureRecord {
  readonly name: string;
  readonly message: string;
  readonly code: string;
}

export function quarantine(time: number, data: { reason: string; code: string; position: string; excerpt: string }): DraftOutput {
  return draft("tidemark.quarantine", time, data);
}

export function late(
  event: { id: string; type: string; time: number },
  watermark: number,
  reason: "late" | "undecidable",
  excerpt: string,
): DraftOutput {
  return draft("tidemark.late", event.time, {
    eventId: event.id,
    type: event.type,
    time: formatInstant(event.time),
    watermark: formatInstant(watermark),
    behindMs: watermark - event.time,
    reason,
    excerpt,
  });
}

export function duplicateConflict(time: number, eventId: string, firstPosition: string | null, excerpt: string): DraftOutput {
  return draft("tidemark.duplicate-conflict", time, { eventId, firstPosition, excerpt });
}

export interface DeadLetter {
  readonly key: string;
  readonly position: string;
  readonly jobVersion: number;
  readonly handler: string;
  readonly error: FailureRecord;
  readonly eventId?: string;
  /** `armedBy`: id of the event that armed it. */
  readonly timer?: { readonly name: string; readonly id: string; readonly time: string; readonly armedBy: string };
  /** The call of an effect whose result the handler failed at. `cause`: id of the event that asked. */
  readonly call?: {
    readonly id: string;
    readonly input: unknown;
    readonly requestedAt: string;
    readonly now: string;
    readonly cause: string;
    /** Of a call to a model, where one was set. */
    readonly minConfidence?: number;
    /** See {@link AnsweredCall}. */
    readonly sloBreached?: boolean;
  };
  /** What its handler is called with again is not whole in the letter, for it is classified: the state keeps it for a redrive. */
  readonly kept?: true;
  readonly excerpt: string;
}

export function deadLetter(time: number, data: DeadLetter): DraftOutput {
  return draft("tidemark.dead-letter", time, data);
}

export function audit(time: number, data: { what: string; who: string; position: string; detail: object }): DraftOutput {
  return draft("tidemark.audit", time, data);
}

/** One inference that was used, or the answer of a challenger, or why there is none. */
export interface InferenceRecord {
  readonly eventId: string;
  readonly call: string;
  readonly key: string;
  readonly role: "champion" | "challenger";
  /** Version that was in force when it was asked, and who answered. */
  readonly askedVersion: number;
  readonly model: string;
  readonly version: number;
  /** SHA-256 of the input as canonical JSON. */
  readonly inputHash: string;
  readonly confidence: number | null;
  readonly actionable: boolean;
  readonly latencyMs: number;
  readonly cached: "no" | "exact" | "semantic";
  readonly units: number;
  readonly requestedAt: string;
  /** Log time of the answer. */
  readonly answeredAt: string;
  /** Of an effect with an `slo`: whether that had passed before the answer came. */
  readonly sloBreached?: boolean;
  readonly result?: unknown;
  /** In place of a result that is too large to be repeated. */
  readonly resultHash?: string;
  readonly failed?: { readonly code: string; readonly message: string };
}

export function inferenceRecord(time: number, data: InferenceRecord): DraftOutput {
  return draft("tidemark.inference", time, data);
}

/** What a dead letter says of a thrown value. */
export function failureOf(thrown: unknown): FailureRecord {
  if (!(thrown instanceof Error)) return { name: typeof thrown, message: textOf(() => thrown), code: "HANDLER_FAILED" };
  const code = textOf(() => {
    const given = (thrown as { readonly code?: unknown }).code;
    return typeof given === "string" ? given : "";
  });
  return {
    name: textOf(() => thrown.name),
    message: textOf(() => thrown.message),
    code: code !== "" && code.length <= 64 ? code : "HANDLER_FAILED",
  };
}

/** At most 4 KiB of an event, as UTF-8, cut between characters. */
export function excerptOf(text: string): string {
  const wellFormed = text.toWellFormed();
  if (wellFormed.length * 3 <= EXCERPT_MAX_BYTES) return wellFormed;
  let bytes = 0;
  let end = 0;
  for (const character of wellFormed) {
    const code = character.codePointAt(0)!;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (bytes > EXCERPT_MAX_BYTES) break;
    end += character.length;
  }
  return wellFormed.slice(0, end);
}

function draft(type: string, time: number, data: object): DraftOutput {
  return { type, time, dataJson: JSON.stringify(data), idempotencyKey: undefined };
}

/** What was thrown may be anything, also something that throws when it is looked at or printed. */
function textOf(read: () => unknown): string {
  try {
    return String(read()).slice(0, ERROR_TEXT_MAX_CHARS).toWellFormed();
  } catch {
    return "a value that cannot be printed";
  }
}
