/**
 * Conversations: when enough has been said, or time enough has passed, the last messages are a context for a model, and
 * one is asked how the people in it feel. The rules are numbered in README.md beside this file. Messages are taken in the order of
 * their times, so each waits until the watermark has passed it.
 */
import type { Static } from "typebox";
import { actor } from "../model/actor.ts";
import { job } from "../model/job.ts";
import type { DeepReadonly } from "../model/readonly.ts";
import { formatInstant } from "../model/time.ts";
import { type ConversationContext, declared, type Gathering, KEPT_MS } from "./conversation.ts";
import { message, named, type Reason } from "./events.ts";
import { type Kept, masked } from "./said.ts";
import { askForSentiment, type SentimentContext, tellNoSentiment, tellSentiment } from "./sentiment.ts";
import { effects, sentimentModel } from "./sentiment-model.ts";
import { MESSAGES_MAX, settingsOf } from "./settings.ts";

export const conversation = actor("conversation", {
  version: 2,
  in: { message },
  ...declared,
  effects,
  on: {
    message(ctx, { conversationId, role, text }) {
      if (conversationId !== ctx.key) ctx.quarantine("conversation-mismatch", "the key is not the conversationId of the data");
      ctx.state.inTurn.add(masked({ role, text }));
    },
    inTurn(ctx, { element: { role, text }, time, behind }) {
      const { messages, withinMs, late } = settingsOf(ctx.reference.conversation, ctx.key, time);
      const before = ctx.state.gathering.get();
      const isFinished = behind && time <= (before?.readyAt ?? Number.NEGATIVE_INFINITY);
      if (isFinished && late === "reject") return ctx.quality("context-finished", { conversationId: ctx.key, at: formatInstant(time) });
      const lastAt = Math.max(time, before?.lastAt ?? time);
      keep(ctx, { at: time, role, text }, lastAt);
      if (isFinished && late === "reopen") return reopen(ctx, before!, lastAt);
      const count = (before?.count ?? 0) + 1;
      const dueAt = before?.dueAt ?? time + withinMs;
      if (count >= messages) ready(ctx, "count", time, lastAt);
      // Of one that is not behind the timer comes in its turn, however far the watermark is.
      else if (behind && ctx.watermark! > dueAt) ready(ctx, "time", dueAt, lastAt);
      else {
        ctx.state.gathering.set({ ...before, count, dueAt, lastAt });
        if (before?.dueAt === undefined) ctx.timers.waited.at(dueAt);
      }
    },
    waited(ctx) {
      const { lastAt } = ctx.state.gathering.get()!;
      ready(ctx, "time", ctx.now, lastAt);
    },
    sentiment: { done: tellSentiment, failed: tellNoSentiment },
  },
});

export default job("conversations", {
  log: "conversations",
  actors: [conversation],
  outOfOrderness: "2s",
  allowedLateness: "1m",
  dedupeHorizon: "24h",
  // A context waits for the watermark: it is not to wait a minute longer for a log that falls quiet.
  idleAfter: "5s",
  models: [sentimentModel],
});

function ready(ctx: SentimentContext, reason: "count" | "time", at: number, lastAt: number): void {
  ctx.timers.waited.cancel();
  const before = ctx.state.gathering.get()?.readyAt ?? at;
  ctx.state.gathering.set({ count: 0, lastAt, readyAt: Math.max(at, before) });
  tell(ctx, reason, at);
}

/** It may end behind its last message: so one that belongs to it may be later than all that were taken. */
function reopen(ctx: SentimentContext, before: DeepReadonly<Static<typeof Gathering>>, lastAt: number): void {
  ctx.state.gathering.set({ ...before, lastAt });
  tell(ctx, "reopened", before.readyAt!);
}

/** The last messages; of a context that was finished before, those that are its own. */
function tell(ctx: SentimentContext, reason: Reason, at: number): void {
  const { messages } = settingsOf(ctx.reference.conversation, ctx.key, at);
  const all = ctx.state.messages.get();
  const own = reason === "reopened" ? all.filter((one) => one.at <= at) : all;
  const last = own.slice(-messages);
  const told = last.map(({ role, text, at: saidAt }) => ({ role, text, at: formatInstant(saidAt) }));
  ctx.out.contextReady({ conversationId: ctx.key, ...named(reason, at), messages: told }, { time: at });
  askForSentiment(ctx, { reason, at, messages: last });
}

/** Puts a message in its place among the last ones. */
function keep({ state: { messages } }: ConversationContext, message: Static<typeof Kept>, lastAt: number): void {
  if (message.at < lastAt) {
    const all = [...messages.get(), message].sort((a, b) => a.at - b.at);
    messages.clear();
    for (const one of all) messages.add(one);
  } else messages.add(message);
  const isOver = (first: Static<typeof Kept> | undefined): boolean =>
    first !== undefined && (messages.length > MESSAGES_MAX || first.at < lastAt - KEPT_MS);
  while (isOver(messages.first())) messages.removeFirst();
}
