/** What comes into the `conversations` log, and what goes out. Instants in outputs are RFC 3339. */
import { Type } from "typebox";
import { output, stream } from "../model/stream.ts";

/** As JSON writes it, quotes and all: so that a context of the longest texts fits into one output. */
const TEXT_MAX_CHARS = 8_192;

const Text = Type.Refine(
  Type.String(),
  (text) => JSON.stringify(text).length <= TEXT_MAX_CHARS,
  () => `must be at most ${TEXT_MAX_CHARS} characters as JSON writes it`,
);
/** Any: systems have other roles than "user" and "assistant". */
const Role = Type.String({ minLength: 1, maxLength: 64 });

export const message = stream("message", {
  schema: Type.Object({ conversationId: Type.String(), role: Role, text: Text }),
});

export const contextReady = output("conversation.context-ready", {
  schema: Type.Object({
    conversationId: Type.String(),
    reason: Type.Union([Type.Literal("count"), Type.Literal("time")]),
    messages: Type.Array(Type.Object({ role: Type.String(), text: Type.String(), at: Type.String() })),
  }),
});
