/** Tables on a terminal: columns as wide as what they hold. The last one is never cut: it has what the table is asked for, and the terminal breaks it. */
import { cut, printable, widthOf } from "./printable.ts";
import type { Colour, Terminal } from "./terminal.ts";

export interface Column<T> {
  readonly title: string;
  readonly of: (row: T) => string;
  /** Numbers stand on the right. */
  readonly right?: boolean;
  readonly colour?: (row: T) => Colour | undefined;
}

const GAP = "  ";
/** A column that is not the last is cut here: one odd key must not push all others off the screen. */
const COLUMN_MAX = 48;

/** Lines of a table. A column grows with what comes later and never shrinks, so that nothing is cut to the width of the first rows. */
export class Table<T> {
  readonly #terminal: Terminal;
  readonly #columns: readonly Column<T>[];
  #widths: readonly number[] | undefined;

  constructor(terminal: Terminal, columns: readonly Column<T>[]) {
    this.#terminal = terminal;
    this.#columns = columns;
  }

  /** Writes rows; the first ones come with the titles. */
  async write(rows: readonly T[]): Promise<void> {
    const cells = rows.map((row) => this.#columns.map(({ of }) => printable(of(row))));
    const before = this.#widths;
    this.#widths = this.#columns.map(({ title }, i) =>
      Math.min(COLUMN_MAX, Math.max(before?.[i] ?? title.length, ...cells.map((row) => widthOf(row[i]!)))),
    );
    if (before === undefined) {
      const titles = this.#line(this.#columns.map(({ title }) => title));
      await this.#terminal.line(this.#terminal.paint("dim", titles));
    }
    for (const [i, row] of rows.entries()) await this.#terminal.line(this.#line(cells[i]!, row));
  }

  #line(cells: readonly string[], row?: T): string {
    const last = this.#columns.length - 1;
    let line = "";
    for (const [i, column] of this.#columns.entries()) {
      const width = this.#widths![i]!;
      const shown = i === last ? cells[i]! : cut(cells[i]!, width);
      const padding = i === last && column.right !== true ? "" : " ".repeat(Math.max(0, width - widthOf(shown)));
      const colour = row === undefined ? undefined : column.colour?.(row);
      const painted = colour === undefined ? shown : this.#terminal.paint(colour, shown);
      line += column.right === true ? padding + painted : painted + padding;
      if (i !== last) line += GAP;
    }
    return line.trimEnd();
  }
}
