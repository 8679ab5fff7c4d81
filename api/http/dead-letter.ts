/** What a dead letter says, read from its output; and its shape in answers. */
import { type Static, Type } from "typebox";
import { Instant, Position } from "./shapes.ts";

export const DEAD_LETTER_TYPE = "tidemark.dead-letter";

const Text = Type.String();

export const DeadLetter = Type.Object({
  id: Type.String({ description: "Id of its output: `<job>.<shard>.<k>`." }),
  job: Text,
  shard: Type.Integer({ minimum: 0 }),
  time: Type.String({ ...Instant, description: "Of the event, or for which the timer was set." }),
  key: Text,
  position: Type.String({ ...Position, description: "Of the entry at which the handler failed." }),
  jobVersion: Type.Integer({ minimum: 0 }),
  handler: Type.String({ description: "`<actor>.<handler>`" }),
  error: Type.Object({ name: Text, message: Text, code: Text }),
  eventId: Type.Optional(Type.String({ description: "When the handler was called for an event." })),
  timer: Type.Optional(
    Type.Object({ name: Text, id: Text, time: Instant, armedBy: Text }, { description: "When it was called for a timer." }),
  ),
  call: Type.Optional(
    Type.Object(
      { id: Text, input: Type.Unknown(), requestedAt: Position, now: Instant, cause: Text },
      { description: "When it was called for the result of an effect: the call that asked for it." },
    ),
  ),
  kept: Type.Optional(
    Type.Literal(true, {
      description: "The timer's data, or the call's input, is classified: it stands here redacted, and the state keeps it for a redrive.",
    }),
  ),
  excerpt: Type.String({
    description: "At most 4 KiB of the event; of a timer, of its data; of a call, of its result. What is classified is redacted.",
  }),
});
export type DeadLetter = Static<typeof DeadLetter>;

const ID = /^([a-z][a-z0-9-]*)\.(0|[1-9]\d{0,3})\.([1-9]\d{0,15})$/;

/** Job, shard and number of an output; `undefined` when the text is no id of one. */
export function readOutputId(id: string): { readonly job: string; readonly shard: number; readonly k: number } | undefined {
  const match = ID.exec(id);
  const k = Number(match?.[3]);
  return match !== null && Number.isSafeInteger(k) ? { job: match[1]!, shard: Number(match[2]), k } : undefined;
}

/** An output of the type `tidemark.dead-letter`; `undefined` for any other. */
export function deadLetterOf(output: unknown): DeadLetter | undefined {
  const { id, type, time, data } = output as Readonly<Record<string, unknown>>;
  const place = type === DEAD_LETTER_TYPE ? readOutputId(id as string) : undefined;
  if (place === undefined) return undefined;
  return { id, job: place.job, shard: place.shard, time, ...(data as object) } as DeadLetter;
}
