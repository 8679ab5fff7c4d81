/** Handlers are synchronous: what one goes on to do later would be in no entry. */
import { HandlerError } from "../model/handler-error.ts";

/** Throws HandlerError ASYNC_HANDLER when a handler returned a promise, or something like one. */
export function refusePromise(returned: unknown): void {
  if (!isThenable(returned)) return;
  // What it does later can only fail, and nobody else waits for it: unheard, that would end the process.
  if (returned instanceof Promise) returned.catch(() => {});
  throw new HandlerError("ASYNC_HANDLER", "A handler returned a promise. Handlers are synchronous; calls outside go through effects.");
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
