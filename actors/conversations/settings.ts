/** How much of a conversation makes a context: the records of the table `conversation`, and what holds without one. */
import { type Static, Type } from "typebox";
import { type ReferenceLookup, reference } from "../model/reference.ts";
import { DAY_MS, durationMs, MINUTE_MS } from "../model/time.ts";

/** Messages of a context, at most. With the longest of texts its output is just under what one may be. */
export const MESSAGES_MAX = 30;
export const WITHIN_MAX_MS = DAY_MS;
const DEFAULT_ID = "default";
const DEFAULT_MESSAGES = 10;
const DEFAULT_WITHIN_MS = 5 * MINUTE_MS;

const Within = Type.Refine(
  Type.String({ pattern: "^[1-9][0-9]{0,7}(s|m|h)$" }),
  (text) => durationMs(text) <= WITHIN_MAX_MS,
  () => "must be at most 24h",
);
/** What becomes of a message whose context is finished. */
const Late = Type.Union([Type.Literal("next"), Type.Literal("reopen"), Type.Literal("reject")]);
const Settings = Type.Object({
  messages: Type.Optional(Type.Integer({ minimum: 1, maximum: MESSAGES_MAX })),
  within: Type.Optional(Within),
  late: Type.Optional(Late),
});

/** By conversation id, or `default`. */
export const conversationTable = reference("conversation", { schema: Settings });

type Setting = Static<typeof Settings>;

export interface ConversationSettings {
  readonly messages: number;
  readonly withinMs: number;
  readonly late: Static<typeof Late>;
}

/** What is in force at `at`: field by field the conversation's own, else the default. */
export function settingsOf(table: ReferenceLookup<Setting>, id: string, at: number): ConversationSettings {
  const own = table.asOf(id, at)?.data;
  const all = table.asOf(DEFAULT_ID, at)?.data;
  const within = own?.within ?? all?.within;
  return {
    messages: own?.messages ?? all?.messages ?? DEFAULT_MESSAGES,
    withinMs: within === undefined ? DEFAULT_WITHIN_MS : durationMs(within),
    late: own?.late ?? all?.late ?? "next",
  };
}
