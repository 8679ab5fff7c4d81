/** Times that a handler gives for an element. */
import { HandlerError } from "../handler-error.ts";
import { INSTANT_MAX, INSTANT_MIN } from "../time.ts";

/** The time given, or the default. Throws HandlerError BAD_TIME for what is no instant of whole milliseconds. */
export function instantOf(given: number | undefined, otherwise: number, path: string): number {
  if (given === undefined) return otherwise;
  if (Number.isSafeInteger(given) && given >= INSTANT_MIN && given <= INSTANT_MAX) return given;
  throw new HandlerError(
    "BAD_TIME",
    `${path}: ${String(given)} is no instant of the years 0000 to 9999. Give whole milliseconds, as from ctx.now.`,
  );
}
