/**
 * How the people of a conversation feel: asked of a model for each context in which one of them said something, and put
 * out once, with the answer or with why there is none. Buckets go out with the call, never a text; what the answer is about is kept
 * until then, and is no text either.
 */
import type { Static } from "typebox";
import type { AnsweredCall, CallFailure } from "../model/effect.ts";
import { enriched, unanswered } from "../model/enriched.ts";
import { HandlerError } from "../model/handler-error.ts";
import type { ConversationContext } from "./conversation.ts";
import { named, type Reason } from "./events.ts";
import { sentimentTokens, type Utterance } from "./sentiment-features.ts";
import type { Sentiment } from "./sentiment-model.ts";

export type SentimentContext = ConversationContext & {
  readonly effects: { readonly sentiment: (input: { readonly tokens: readonly number[] }) => string };
};
type Call = AnsweredCall<unknown>;

interface ReadyContext {
  readonly reason: Reason;
  readonly at: number;
  readonly messages: readonly Utterance[];
}

export function askForSentiment(ctx: SentimentContext, { reason, at, messages }: ReadyContext): void {
  const tokens = sentimentTokens(messages);
  // Assistants and tools alone: there is nobody who feels.
  if (tokens.every((token) => token === 0)) return;
  try {
    ctx.state.asked.set(ctx.effects.sentiment({ tokens }), { reason, at, messages: messages.length });
  } catch (error) {
    // Of more conversations than the model keeps up with, the contexts must not be lost with the answers.
    if (!(error instanceof HandlerError) || error.code !== "TOO_MANY_CALLS") throw error;
    ctx.out.sentiment(unanswered({ conversationId: ctx.key, ...named(reason, at), messages: messages.length }, error), { time: at });
  }
}

export function tellSentiment(ctx: SentimentContext, { sentiment, probabilities }: Static<typeof Sentiment>, call: Call): void {
  const asked = taken(ctx, call);
  if (asked !== undefined) ctx.out.sentiment(enriched(asked.about, { sentiment, probabilities }, call), { time: asked.at });
}

export function tellNoSentiment(ctx: SentimentContext, failure: CallFailure, call: Call): void {
  const asked = taken(ctx, call);
  if (asked !== undefined) ctx.out.sentiment(unanswered(asked.about, failure, call), { time: asked.at });
}

function taken({ key, state }: SentimentContext, { id }: Call) {
  const asked = state.asked.get(id);
  if (asked === undefined) return undefined;
  state.asked.delete(id);
  const { reason, at, messages } = asked;
  return { at, about: { conversationId: key, ...named(reason, at), messages } };
}
