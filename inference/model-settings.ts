/** What is set for a version of a model besides what it is: part of its record, checked when that is registered. */
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";

const closed = { additionalProperties: false } as const;
const Name = Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" });
const Version = Type.Object({ model: Name, version: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }) }, closed);
const Field = Type.String({ minLength: 1, maxLength: 256 });
const DAY_MS = 86_400_000;
const Rate = Type.Object(
  { perSecond: Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000 }), burst: Type.Integer({ minimum: 1, maximum: 1_000_000 }) },
  closed,
);

const Settings = Type.Object(
  {
    /** Asked when this version fails. */
    fallback: Type.Optional(Version),
    /** Milliseconds before a deadline that are left to the fallback. Default 0: it is asked for failures alone. */
    fallbackReserveMs: Type.Optional(Type.Integer({ minimum: 0, maximum: DAY_MS })),
    /** What becomes of a question that finds the model busy, or over its rate. Default `queue`. */
    policy: Type.Optional(Type.Union([Type.Literal("queue"), Type.Literal("degrade"), Type.Literal("dead-letter")])),
    /** Inferences at a time. */
    places: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    rates: Type.Optional(Type.Object({ model: Type.Optional(Rate), tenant: Type.Optional(Rate), key: Type.Optional(Rate) }, closed)),
    /** Answers are given again for equal inputs, for so many milliseconds. Default: they are not. */
    cacheMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 30 * DAY_MS })),
    /** … and for texts that are near enough. */
    semantic: Type.Optional(
      Type.Object(
        {
          field: Field,
          embedding: Version,
          embeddingField: Field,
          threshold: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
        },
        closed,
      ),
    ),
  },
  closed,
);

export type ModelSettings = Static<typeof Settings>;

const compiled = Compile(Settings);

/** Why they are none; `undefined` when they are. */
export function settingsReason(value: unknown): string | undefined {
  const [first] = compiled.Check(value) ? [] : compiled.Errors(value);
  return first === undefined ? undefined : `${first.instancePath} ${first.message}`;
}
