/**
 * The host's guard, on while a handler runs and off while the fold works for it. A row that a handler asks for is read
 * by the host's store, which may use clocks and timers of its own; whether the row was in memory must not show.
 */
import type { Guard } from "./fold-options.ts";
import type { CommittedRows } from "./rows.ts";

export class HandlerGuard {
  readonly #guard: Guard;
  #on = false;

  constructor(guard: Guard) {
    this.#guard = guard;
  }

  /** Runs a handler under the guard. */
  during<T>(handler: () => T): T {
    this.#on = true;
    this.#guard.enter();
    try {
      return handler();
    } finally {
      this.#guard.leave();
      this.#on = false;
    }
  }

  /** The rows, read outside of the guard wherever they are asked for. */
  rows(committed: CommittedRows): CommittedRows {
    return {
      get: (key) => (this.#on ? this.#outside(() => committed.get(key)) : committed.get(key)),
      scan: (from, to, limit) => (this.#on ? this.#outside(() => committed.scan(from, to, limit)) : committed.scan(from, to, limit)),
    };
  }

  #outside<T>(read: () => T): T {
    this.#guard.leave();
    try {
      return read();
    } finally {
      this.#guard.enter();
    }
  }
}
