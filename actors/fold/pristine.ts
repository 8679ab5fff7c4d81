/**
 * What an entry said, whatever handlers did with what they were given of it: they may change that as they like, and then
 * even its text could not be made any more. Parsed again when it is first asked for, which only failures do.
 */
import type { LogEntry } from "./entry.ts";
import type { Primitives } from "./primitives.ts";

export class Pristine {
  readonly #decode: Primitives["decodeUtf8"];
  #entry: LogEntry | undefined;
  #value: unknown;

  constructor({ decodeUtf8 }: Pick<Primitives, "decodeUtf8">) {
    this.#decode = decodeUtf8;
  }

  open(entry: LogEntry): void {
    this.#entry = entry;
    this.#value = undefined;
  }

  close(): void {
    this.#entry = undefined;
    this.#value = undefined;
  }

  /** Of the open entry, whose payload was found to be JSON. */
  get value(): unknown {
    this.#value ??= JSON.parse(this.#decode(this.#entry!.payload)!) as unknown;
    return this.#value;
  }
}
