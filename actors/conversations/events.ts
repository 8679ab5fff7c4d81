/**
 * What comes into the `conversations` log, and what goes out. Instants in outputs are RFC 3339. What somebody said is
 * classified wherever it stands.
 */
import { type Static, Type } from "typebox";
import { enrichedSchema } from "../model/enriched.ts";
import { classified } from "../model/privacy/classification.ts";
import { output, stream } from "../model/stream.ts";
import { formatInstant } from "../model/time.ts";
import { SaidRole, SaidText, TEXT_MAX_CHARS } from "./said.ts";
import { Sentiment } from "./sentiment-model.ts";

const Text = Type.Refine(
  Type.String(),
  (text) => JSON.stringify(text).length <= TEXT_MAX_CHARS,
  () => `must be at most ${TEXT_MAX_CHARS} characters as JSON writes it`,
);
/** Any: systems have other roles than "user" and "assistant". */
const Role = Type.String({ minLength: 1, maxLength: 64 });
export type Reason = Static<typeof Reason>;
export const Reason = Type.Union([Type.Literal("count"), Type.Literal("time"), Type.Literal("reopened")]);
/** Of a context that was told once more: the time of what was told of it before. */
const Revises = Type.Optional(Type.String());

/** What an output says of its context, whichever it is. */
export function named(reason: Reason, at: number): { readonly reason: Reason; readonly revises?: string } {
  return reason === "reopened" ? { reason, revises: formatInstant(at) } : { reason };
}

export const message = stream("message", {
  schema: Type.Object({ conversationId: Type.String(), role: classified("pii", Role), text: classified("pii", Text) }),
});

export const contextReady = output("conversation.context-ready", {
  schema: Type.Object({
    conversationId: Type.String(),
    reason: Reason,
    revises: Revises,
    messages: Type.Array(Type.Object({ role: SaidRole, text: SaidText, at: Type.String() })),
  }),
});

/** Of a context what it is, and nothing of what was said. */
export const sentiment = output("conversation.sentiment", {
  schema: enrichedSchema(
    Type.Object({ conversationId: Type.String(), reason: Reason, revises: Revises, messages: Type.Integer() }),
    Sentiment,
  ),
});
