/** Shapes that several answers share (CONTRACT "Shapes"). */
import { Type } from "typebox";

/** RFC 3339, UTC, milliseconds. */
export const Instant = Type.String({ format: "date-time", examples: ["2026-03-06T23:30:22.050Z"] });

/** `<partition>:<sequence>.<index>` */
export const Position = Type.String({ pattern: "^\\d+:\\d+\\.\\d+$", examples: ["0:394.0"] });

/** A key as it is, not as it is written in a subject. */
export const Key = Type.String({ description: "The key itself: 1 to 256 bytes as written, well-formed Unicode." });

/** An output or an event as published. */
export const CloudEvent = Type.Object(
  {
    specversion: Type.Literal("1.0"),
    id: Type.String(),
    source: Type.String(),
    type: Type.String(),
    subject: Type.Optional(Type.String()),
    time: Type.Optional(Instant),
  },
  { additionalProperties: true, description: "A CloudEvent 1.0 with its extensions and `data`." },
);
