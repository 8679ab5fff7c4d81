/** Lists of the API: a table on a terminal, one JSON document a line otherwise. */
import { type Column, Table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** Writes page by page, so that a list of any length needs one page of memory. Resolves with the exit code 0. */
export async function writeList<T>(
  terminal: Terminal,
  pages: AsyncIterable<readonly unknown[]>,
  columns: readonly Column<T>[],
): Promise<number> {
  const table = new Table(terminal, columns);
  let any = false;
  for await (const page of pages) {
    any = true;
    if (terminal.json) for (const item of page) await terminal.record(item);
    else await table.write(page as readonly T[]);
  }
  if (!any && !terminal.json) terminal.notice("none");
  return 0;
}
