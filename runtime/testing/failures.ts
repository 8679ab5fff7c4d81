/**
 * What handlers threw, for the call that brought it about. A handler that is folded again after a crash fails again;
 * that is told once.
 */
export class Failures {
  readonly #mode: "throw" | "dead-letter";
  readonly #told = new Set<string>();
  #pending: unknown[] = [];

  constructor(mode: "throw" | "dead-letter") {
    this.#mode = mode;
  }

  add(position: string, handler: string, thrown: unknown): void {
    if (this.#mode === "dead-letter") return;
    const name = `${position} ${handler} ${textOf(thrown)}`;
    if (this.#told.has(name)) return;
    this.#told.add(name);
    this.#pending.push(thrown);
  }

  /** Throws what was added since the last call: the thrown value itself, of several an AggregateError. */
  raise(): void {
    const thrown = this.#pending;
    this.#pending = [];
    if (thrown.length === 1) throw thrown[0];
    if (thrown.length > 1) throw new AggregateError(thrown, `${thrown.length} handlers threw; the first: ${textOf(thrown[0])}`);
  }
}

/** A thrown value may throw again when it is printed. */
function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return "a value that cannot be printed";
  }
}
