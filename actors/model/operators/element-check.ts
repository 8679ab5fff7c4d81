/** Elements that an operator keeps or hands on are what its schema says, and nobody can change them afterwards. */
import { HandlerError } from "../handler-error.ts";
import type { Schema } from "../schema.ts";

/** A frozen copy. Throws HandlerError STATE_SCHEMA, STATE_SHAPE. */
export function elementOf(schema: Schema<unknown>, element: unknown, path: string): unknown {
  let copy: unknown;
  try {
    copy = schema.layout.normalize(element, path, { bytes: 0 });
  } catch (error) {
    throw new HandlerError("STATE_SHAPE", error instanceof Error ? error.message : path);
  }
  if (!schema.check(copy)) throw new HandlerError("STATE_SCHEMA", `${path}: ${schema.explain(copy)}. Add what the schema says.`);
  return copy;
}
