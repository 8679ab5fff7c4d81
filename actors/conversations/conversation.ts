/** What a conversation keeps, and how its handlers see it. Nothing of it has a personal value that could be found by its form. */
import { Type } from "typebox";
import { type ContextOf, timer } from "../model/actor.ts";
import { list } from "../model/cells/list.ts";
import { map } from "../model/cells/map.ts";
import { value } from "../model/cells/value.ts";
import { ordered } from "../model/operators/ordered.ts";
import { DAY_MS } from "../model/time.ts";
import { contextReady, Reason, sentiment } from "./events.ts";
import { Kept, Said } from "./said.ts";
import { conversationTable, WITHIN_MAX_MS } from "./settings.ts";

/** What lies so far before the last message belongs to another conversation. */
export const KEPT_MS = DAY_MS;

/** Messages that no context was made of yet. */
export const Gathering = Type.Object({
  count: Type.Integer(),
  /** When they are a context whatever their number; absent while there are none. */
  dueAt: Type.Optional(Type.Integer()),
  /** Greatest time of a message that was taken. */
  lastAt: Type.Integer(),
  /** Greatest time of a context; absent before the first. */
  readyAt: Type.Optional(Type.Integer()),
});

export const declared = {
  out: { contextReady, sentiment },
  state: {
    inTurn: ordered(Said),
    // A message may be kept for a day, and looked at by a timer a day later.
    messages: list(Kept).ttl(2 * KEPT_MS + WITHIN_MAX_MS),
    gathering: value(Gathering).ttl(2 * KEPT_MS + WITHIN_MAX_MS),
    /** Contexts that wait for their sentiment, by call. Until it comes, however far the watermark is by then. */
    asked: map(Type.Object({ reason: Reason, at: Type.Integer(), messages: Type.Integer() })),
  },
  /** Behind `inTurn` by name, so that a message of the very instant still comes before it. */
  timers: { waited: timer("event") },
  reference: { conversation: conversationTable },
};
export type ConversationContext = ContextOf<typeof declared>;
