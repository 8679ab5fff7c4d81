/**
 * Conversations: when enough has been said, or time enough has passed, the last messages are a context for a model. The
 * rules are numbered in README.md beside this file. Messages are taken in the order of their times, so each waits until
 * the watermark has passed it.
 */
import { type Static, Type } from "typebox";
import { actor, type ContextOf, timer } from "../model/actor.ts";
import { list } from "../model/cells/list.ts";
import { value } from "../model/cells/value.ts";
import { job } from "../model/job.ts";
import { ordered } from "../model/operators/ordered.ts";
import { DAY_MS, formatInstant } from "../model/time.ts";
import { contextReady, message } from "./events.ts";
import { conversationTable, MESSAGES_MAX, settingsOf, WITHIN_MAX_MS } from "./settings.ts";

/** What lies so far before the last message belongs to another conversation. */
const KEPT_MS = DAY_MS;

const Said = Type.Object({ role: Type.String(), text: Type.String() });
const Kept = Type.Object({ at: Type.Integer(), role: Type.String(), text: Type.String() });

/** Messages that no context was made of yet. */
const Gathering = Type.Object({
  count: Type.Integer(),
  /** When they are a context whatever their number; absent while there are none. */
  dueAt: Type.Optional(Type.Integer()),
  /** Greatest time of a message that was taken. */
  lastAt: Type.Integer(),
});

const declared = {
  out: { contextReady },
  state: {
    inTurn: ordered(Said),
    // A message may be kept for a day, and looked at by a timer a day later.
    messages: list(Kept).ttl(2 * KEPT_MS + WITHIN_MAX_MS),
    gathering: value(Gathering).ttl(2 * KEPT_MS + WITHIN_MAX_MS),
  },
  /** Behind `inTurn` by name, so that a message of the very instant still comes before it. */
  timers: { waited: timer("event") },
  reference: { conversation: conversationTable },
};
type ConversationContext = ContextOf<typeof declared>;

export const conversation = actor("conversation", {
  in: { message },
  ...declared,
  on: {
    message(ctx, { conversationId, role, text }) {
      if (conversationId !== ctx.key) ctx.quarantine("conversation-mismatch", "the key is not the conversationId of the data");
      ctx.state.inTurn.add({ role, text });
    },
    inTurn(ctx, { element: { role, text }, time, behind }) {
      const { messages, withinMs } = settingsOf(ctx.reference.conversation, ctx.key, time);
      const before = ctx.state.gathering.get();
      const lastAt = Math.max(time, before?.lastAt ?? time);
      keep(ctx, { at: time, role, text }, lastAt);
      const count = (before?.count ?? 0) + 1;
      const dueAt = before?.dueAt ?? time + withinMs;
      if (count >= messages) ready(ctx, "count", time, lastAt);
      // Of one that is not behind the timer comes in its turn, however far the watermark is.
      else if (behind && ctx.watermark! > dueAt) ready(ctx, "time", dueAt, lastAt);
      else {
        ctx.state.gathering.set({ count, dueAt, lastAt });
        if (before?.dueAt === undefined) ctx.timers.waited.at(dueAt);
      }
    },
    waited(ctx) {
      const { lastAt } = ctx.state.gathering.get()!;
      ready(ctx, "time", ctx.now, lastAt);
    },
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
});

function ready(ctx: ConversationContext, reason: "count" | "time", at: number, lastAt: number): void {
  ctx.timers.waited.cancel();
  ctx.state.gathering.set({ count: 0, lastAt });
  const { messages } = settingsOf(ctx.reference.conversation, ctx.key, at);
  const last = ctx.state.messages.get().slice(-messages);
  const told = last.map(({ role, text, at: saidAt }) => ({ role, text, at: formatInstant(saidAt) }));
  ctx.out.contextReady({ conversationId: ctx.key, reason, messages: told }, { time: at });
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
