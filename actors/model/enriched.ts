/**
 * Events with what a model said of them: the fields of the original, and beside them `ai_…`, the same for every model,
 * so that whoever consumes them need not know which one answered. Source: EAAPL-INT004, sections 7 and 8.
 */
import { type TObject, type TProperties, type TSchema, Type } from "typebox";
import type { AnsweredCall, CallFailure } from "./effect.ts";
import type { DeepReadonly } from "./readonly.ts";

/** What is added to an original. */
export interface AiFields<R> {
  /** `null` when there is no answer. */
  readonly ai_result: R | null;
  /** From 0 to 1; `null` for a model that gives none, and when there is no answer. */
  readonly ai_confidence: number | null;
  /** False for an answer that is not to be acted on by itself: below the least confidence, or none at all. */
  readonly ai_actionable: boolean;
  /** Who answered; `null` when no version was in force. */
  readonly ai_model: string | null;
  readonly ai_model_version: number | null;
  readonly ai_latency_ms: number | null;
  readonly ai_cached: boolean;
  /** The answer came later than it was expected, or not at all. */
  readonly ai_slo_breach: boolean;
  /** Code of the failure; absent when there is an answer. */
  readonly ai_error?: string;
}

const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);

/** Schema of an output that enriches `original` with answers of the schema `result`. */
export function enrichedSchema<P extends TProperties, R extends TSchema>(original: TObject<P>, result: R) {
  return Type.Object({
    ...original.properties,
    ai_result: nullable(result),
    ai_confidence: nullable(Type.Number()),
    ai_actionable: Type.Boolean(),
    ai_model: nullable(Type.String()),
    ai_model_version: nullable(Type.Integer()),
    ai_latency_ms: nullable(Type.Number()),
    ai_cached: Type.Boolean(),
    ai_slo_breach: Type.Boolean(),
    ai_error: Type.Optional(Type.String()),
  });
}

/** An original with the answer that `done` was given. */
export function enriched<T extends object, R>(original: T, result: R, call: AnsweredCall<unknown>): T & AiFields<R> {
  return { ...original, ai_result: result, ...fieldsOf(call), ai_actionable: call.inference?.actionable ?? true };
}

/** An original of which `failed` was told that there is no answer; without `call` one that could not even be asked for. */
export function unanswered<T extends object>(
  original: T,
  { code }: Pick<CallFailure, "code">,
  call: Partial<AnsweredCall<unknown>> = {},
): T & AiFields<never> {
  return { ...original, ai_result: null, ...fieldsOf(call), ai_confidence: null, ai_actionable: false, ai_error: code };
}

function fieldsOf({ inference, sloBreached }: DeepReadonly<Pick<Partial<AnsweredCall<unknown>>, "inference" | "sloBreached">>) {
  return {
    ai_confidence: inference?.confidence ?? null,
    ai_model: inference?.model ?? null,
    ai_model_version: inference?.version ?? null,
    ai_latency_ms: inference?.latencyMs ?? null,
    ai_cached: inference?.cached ?? false,
    ai_slo_breach: sloBreached ?? false,
  };
}
