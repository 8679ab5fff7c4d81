/** Query parameters that several routes share. */
import { badRequest } from "./problem.ts";

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;

/** Query parameters as Fastify parses them: one given twice is a list. */
export type Query = Readonly<Record<string, unknown>>;

/** A parameter's text; `undefined` when it is absent. Given twice it is refused: which one was meant? */
export function readText(query: Query, name: string): string | undefined {
  const value = Object.hasOwn(query, name) ? query[name] : undefined;
  if (value === undefined || typeof value === "string") return value;
  throw badRequest(`${name}: give it once.`);
}

/** `limit`: 1 to 1000, default 100. */
export function readLimit(text: string | undefined): number {
  if (text === undefined) return LIMIT_DEFAULT;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > LIMIT_MAX) throw badRequest(`limit: a whole number from 1 to ${LIMIT_MAX}.`);
  return limit;
}
