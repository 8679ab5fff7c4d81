/** Query parameters that several routes share. */
import { type TSchema, Type } from "typebox";
import { isCount, readCursor, writeCursor } from "./cursor.ts";

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

/** Of a list that a node has in its memory: without a limit it is given whole. */
export const WHOLE_QUERY = {
  ...PAGE_QUERY,
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: LIMIT_MAX,
      description: "Items of a page, at most; a whole number from 1 to 1000. All of them when not given.",
    }),
  ),
};

/** A page of a list that a node has in its memory, in an order of its own. */
export function pageOf<T>(
  items: readonly T[],
  query: { readonly limit?: string; readonly cursor?: string },
): { readonly items: readonly T[]; readonly next: string | null } {
  const from = readCursor(query.cursor, isCount) ?? 0;
  const to = query.limit === undefined ? items.length : from + Number(query.limit);
  return { items: items.slice(from, to), next: to < items.length ? writeCursor(to) : null };
}

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
