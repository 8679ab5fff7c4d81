/** Elements that an operator keeps are what its schema says, whoever made them. */
import { HandlerError } from "../handler-error.ts";
import type { Schema } from "../schema.ts";

/** Throws HandlerError STATE_SCHEMA. */
export function checkElement(schema: Schema<unknown>, element: unknown, path: string): void {
  if (!schema.check(element)) throw new HandlerError("STATE_SCHEMA", `${path}: ${schema.explain(element)}. Add what the schema says.`);
}
