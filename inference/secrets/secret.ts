/**
 * A secret's value in memory, which no accident prints: as text, as JSON, in a template, in a log of an object and in a
 * copy for another thread it is `[secret]` or nothing. Only {@link Secret.reveal} gives it.
 */
import { inspect } from "node:util";

/** Names of secrets, so that each makes a variable's name and a file's name of its own. */
export const SECRET_NAME = /^[a-z][a-z0-9-]{0,62}$/;

const SHOWN = "[secret]";

export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** For the header that it goes out in, and for nothing else. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  [Symbol.toPrimitive](): string {
    return SHOWN;
  }

  [inspect.custom](): string {
    return SHOWN;
  }
}
