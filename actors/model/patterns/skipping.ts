/** What the matches that were emitted at one moment rule out, by where other matches began. */
import type { Declaration } from "./declaration.ts";
import type { PartialMatch } from "./partial-match.ts";

export class Skipping {
  readonly #declaration: Declaration;
  /** Ruled out: what began before the event of this number. */
  #before = 0;
  /** Ruled out: what began with one of these. */
  readonly #beginnings = new Set<number>();

  constructor(declaration: Declaration) {
    this.#declaration = declaration;
  }

  rulesOut({ taken }: PartialMatch): boolean {
    return taken[0]! < this.#before || this.#beginnings.has(taken[0]!);
  }

  /** A match is emitted. */
  note({ taken, counts }: PartialMatch): void {
    const { skip, steps } = this.#declaration;
    switch (skip.to) {
      case "none":
        return;
      case "next":
        this.#beginnings.add(taken[0]!);
        return;
      case "past-last":
        this.#before = Math.max(this.#before, taken.at(-1)! + 1);
        return;
      default: {
        const place = steps.findIndex(({ name }) => name === skip.step);
        const count = counts[place] ?? 0;
        // A step that was skipped has no event to skip to.
        if (count === 0) return;
        const first = counts.slice(0, place).reduce((sum, each) => sum + each, 0);
        this.#before = Math.max(this.#before, taken[skip.to === "first" ? first : first + count - 1]!);
      }
    }
  }
}
