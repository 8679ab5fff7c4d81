/**
 * The handler call that brings an actor the result of one of its effects, for the result itself and for a redrive of
 * it. An output that is not what the effect declares is a failure.
 */
import type { AnsweredCall, DeclaredEffect, InferenceInfo } from "../model/effect.ts";
import { HandlerError } from "../model/handler-error.ts";
import type { CallRecord } from "./call-row.ts";
import { canonicalJson, UnsafeData } from "./canonical.ts";
import type { ActorContext } from "./context.ts";
import type { Call } from "./handler-runner.ts";
import type { KeyRow } from "./key-row.ts";
import type { InferenceNote, Outcome } from "./result-entry.ts";

/** A call as its handlers and its dead letter see it. */
export interface Asked extends Pick<CallRecord, "address" | "now" | "cause"> {
  readonly id: string;
  /** Canonical JSON. */
  readonly input: string;
  /** Position at which it was asked for. */
  readonly requestedAt: string;
  /** See {@link CalledModel}. */
  readonly minConfidence: number | undefined;
  /** `undefined` without an `slo`. */
  readonly sloBreached: boolean | undefined;
}

export interface Answered {
  readonly row: KeyRow;
  /** Number of the actor in its job, and its name. */
  readonly actor: number;
  readonly actorName: string;
  readonly effect: DeclaredEffect;
  readonly asked: Asked;
  readonly outcome: Outcome;
  /** At most 4 KiB of the outcome as it came, whatever the handler did with the one that it was given. */
  readonly excerpt: () => string;
}

/** What the effect's schema makes of an outcome. */
export function checkedOutcome({ output: schema }: DeclaredEffect, outcome: Outcome): Outcome {
  if ("failed" in outcome) return outcome;
  const { inference } = outcome;
  const note = inference === undefined ? {} : { inference };
  const refused = (reason: string) => ({ failed: { code: "RESULT_SCHEMA", message: `The result ${reason}.` }, ...note });
  try {
    canonicalJson(outcome.output);
  } catch (error) {
    if (error instanceof UnsafeData) return refused("is nested too deep, or has fields that could change the program");
    throw error;
  }
  return schema.check(outcome.output) ? outcome : refused(schema.explain(outcome.output));
}

/** What handlers learn of the inference behind an outcome. */
export function inferenceInfo(note: InferenceNote, minConfidence: number | undefined): InferenceInfo {
  const { model, version, confidence, latencyMs, cached, units } = note;
  const actionable = minConfidence === undefined || (confidence !== null && confidence >= minConfidence);
  return { model, version, confidence, actionable, latencyMs, cached: cached !== "no", units };
}

/** `now` and `clock`: see UnitSubject. */
export function resultCall(
  { row, actor, actorName, effect, asked, outcome, excerpt }: Answered,
  at: { readonly now: number; readonly clock: number; readonly position: string },
): { readonly call: Call; readonly run: (ctx: ActorContext) => unknown } {
  const { requestedAt, cause, address } = asked;
  const note = outcome.inference === undefined ? {} : { inference: inferenceInfo(outcome.inference, asked.minConfidence) };
  const answered = { ...askedCall(asked), ...note };
  const failed = "failed" in outcome;
  const call: Call = {
    row,
    actor,
    handler: `${actorName}.${effect.name}.${failed ? "failed" : "done"}`,
    now: at.now,
    clock: at.clock,
    cause,
    site: { position: () => at.position, excerpt },
    unit: `${cause}|${requestedAt}|${address.n}`,
    asked,
    takes: effect.input,
  };
  const run = (ctx: ActorContext): unknown => {
    checkInput(effect, answered.input);
    return failed ? effect.failed(ctx, outcome.failed, answered) : effect.done(ctx, outcome.output, answered);
  };
  return { call, run };
}

/** A call as handlers see it. */
export function askedCall({ id, input, requestedAt, now, sloBreached }: Asked): AnsweredCall<unknown> {
  const slo = sloBreached === undefined ? {} : { sloBreached };
  return { id, input: JSON.parse(input) as unknown, requestedAt, now, ...slo };
}

/** An earlier build asked for it; its types are not this one's to trust. Throws STATE_MIGRATION. */
export function checkInput({ name, input: schema }: DeclaredEffect, input: unknown): void {
  if (schema.check(input)) return;
  throw new HandlerError(
    "STATE_MIGRATION",
    `effects.${name}: the input of a call that an earlier build asked for ${schema.explain(input)}. Let the schema allow it.`,
  );
}
