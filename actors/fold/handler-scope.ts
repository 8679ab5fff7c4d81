/**
 * The scope of a handler call: the host's guard is on while the handler runs, and off again while a handle of its
 * context reads rows. A store may use clocks and timers for itself; what it answers is a function of the rows.
 */
import type { Guard } from "./fold-options.ts";
import type { CommittedRows } from "./rows.ts";

export class HandlerScope {
  readonly #guard: Guard;
  #active = false;

  constructor(guard: Guard) {
    this.#guard = guard;
  }

  run(call: () => unknown): unknown {
    this.#active = true;
    this.#guard.enter();
    try {
      return call();
    } finally {
      this.#guard.leave();
      this.#active = false;
    }
  }

  /** The same rows, read outside the guard whoever asks. */
  rowsAside(rows: CommittedRows): CommittedRows {
    const aside = <T>(read: () => T): T => {
      this.#guard.leave();
      try {
        return read();
      } finally {
        this.#guard.enter();
      }
    };
    return {
      get: (key) => (this.#active ? aside(() => rows.get(key)) : rows.get(key)),
      scan: (from, to, limit) => (this.#active ? aside(() => rows.scan(from, to, limit)) : rows.scan(from, to, limit)),
    };
  }
}
