/** Cursors: opaque to callers, a small JSON value inside. A cursor that is none is the caller's error. */
import { badRequest } from "./problem.ts";

export function writeCursor(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** `undefined` for no cursor. Throws 400 for anything that `check` does not accept. */
export function readCursor<T>(text: string | undefined, check: (value: unknown) => value is T): T | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    if (check(value)) return value;
  } catch {
    // Falls through to the one answer that both kinds of nonsense get.
  }
  throw badRequest("cursor: give one that this route answered with, unchanged.");
}

export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
