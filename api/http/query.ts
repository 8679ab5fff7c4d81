/** Query parameters that several routes share. */
import { type TSchema, Type } from "typebox";

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;

/** Schemas of the parameters that every list takes. */
export const PAGE_QUERY = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: LIMIT_MAX,
      default: LIMIT_DEFAULT,
      description: "Items of a page, at most; a whole number from 1 to 1000.",
    }),
  ),
  cursor: Type.Optional(Type.String({ maxLength: 16_384, description: "`next` of the page before, unchanged." })),
};

/** A list, as every list is answered. */
export function listOf(item: TSchema) {
  return Type.Object({
    items: Type.Array(item),
    next: Type.Union([Type.String(), Type.Null()], { description: "Give it back as `cursor`; null at the end." }),
  });
}

/** `limit`, which the route's schema has checked: 1 to 1000, default 100. */
export function readLimit(text: string | undefined): number {
  return text === undefined ? LIMIT_DEFAULT : Number(text);
}
