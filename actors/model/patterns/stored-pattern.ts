/** How a pattern's cell lies in its rows, and what names its declaration: another one is another cell. */
import { Type } from "typebox";
import type { JsonSchema } from "../layout.ts";
import type { Declaration } from "./declaration.ts";

const PartialSchema = Type.Object({
  taken: Type.Array(Type.Integer()),
  counts: Type.Array(Type.Integer()),
  start: Type.Integer(),
  open: Type.Integer(),
});

export const StateSchema = Type.Object({ next: Type.Integer(), partials: Type.Array(PartialSchema) });

export function EventSchema(event: JsonSchema): JsonSchema {
  const properties = { time: { type: "integer" }, event, cause: { type: "string" } };
  return { type: "object", properties, required: Object.keys(properties) };
}

/** All of a declaration but its conditions, which are the code's. */
export function configOf({ steps, barriersAtEnd, withinMs = 0, skip }: Declaration, options: object): Readonly<Record<string, unknown>> {
  const barriers = (all: Declaration["barriersAtEnd"]) => all.map(({ name, reach }) => ({ name, reach }));
  return {
    kind: "pattern",
    steps: steps.map(({ where: _where, until, max, ...step }) => ({
      ...step,
      max: max === Infinity ? 0 : max,
      until: until !== undefined,
      barriers: barriers(step.barriers),
    })),
    barriersAtEnd: barriers(barriersAtEnd),
    withinMs,
    skip,
    ...options,
  };
}
