/**
 * What a cell keeps in committed rows: for answers about actors. Reads only; what has expired by the watermark of
 * those rows is not there.
 */
import type { CellView, EntryRange } from "../model/cell.ts";
import { decodeEntry, type Expiry } from "./entry-row.ts";
import type { CellState, KeyRow, Section } from "./key-row.ts";
import { entryRow, tableEnd } from "./keys.ts";
import type { CommittedRows } from "./rows.ts";
import type { Shape } from "./shapes.ts";
import { entryBytes, type StoredSize, slotBytes, slotEndBytes } from "./stored-size.ts";

const SCAN_ROWS = 1_000;

export class StoredCell implements CellView {
  readonly #rows: CommittedRows;
  readonly #state: CellState | undefined;
  readonly #entries: string;
  readonly #cell: Shape["cells"][number];
  readonly #watermark: number;
  readonly #owner: { readonly token: string; readonly actor: string };

  constructor(rows: CommittedRows, row: KeyRow, { shape, cells }: Section, cell: number, watermark: number | undefined) {
    this.#rows = rows;
    this.#cell = shape.cells[cell]!;
    this.#state = cells[cell];
    this.#owner = { token: row.token, actor: shape.actor };
    this.#entries = entryRow(row.slot, row.token, shape.actor, this.#cell.name, "");
    this.#watermark = watermark ?? Number.NEGATIVE_INFINITY;
  }

  slot(): unknown {
    return this.#expired(this.#state?.expiry) ? undefined : this.#state?.slot;
  }

  count(): number {
    const table = this.#state?.entries;
    if (table === undefined || table.ending === 0) return table?.count ?? 0;
    let count = 0;
    for (const _ of this.entries()) count++;
    return count;
  }

  entry(id: string): unknown {
    return this.#read(id)?.value;
  }

  *entries(range?: EntryRange): Iterable<readonly [string, unknown]> {
    for (const { id, value } of this.#scan()) {
      if (range === undefined || (id >= range.from && id < range.to)) yield [id, value];
    }
  }

  expiresAt(id = ""): number | undefined {
    if (this.#cell.entry !== undefined) return this.#read(id)?.expiry?.at;
    return this.#expired(this.#state?.expiry) ? undefined : this.#state?.expiry?.at;
  }

  /** What expires, and when: the slot with an empty id, or entries by theirs. */
  *expiries(): Iterable<{ readonly id: string; readonly at: number }> {
    const at = this.expiresAt();
    if (at !== undefined) yield { id: "", at };
    if ((this.#state?.entries?.ending ?? 0) === 0) return;
    for (const { id, expiry } of this.#scan()) if (expiry !== undefined) yield { id, at: expiry.at };
  }

  /** With what has expired and was not swept yet. */
  size(): StoredSize {
    const { token, actor } = this.#owner;
    let entries = 0;
    let bytes =
      this.#state === undefined ? 0 : slotBytes(this.#cell, this.#state) + slotEndBytes(token, actor, this.#cell.name, this.#state);
    for (const row of this.#entryRows()) {
      entries++;
      bytes += entryBytes(row);
    }
    return { entries, bytes };
  }

  *#scan(): Iterable<{ readonly id: string; readonly value: unknown; readonly expiry: Expiry | undefined }> {
    for (const { key, value } of this.#entryRows()) {
      const kept = decodeEntry(value, this.#cell.entry!.layout);
      if (!this.#expired(kept.expiry)) yield { id: key.slice(this.#entries.length), ...kept };
    }
  }

  *#entryRows(): Iterable<ReturnType<CommittedRows["scan"]>[number]> {
    if (this.#cell.entry === undefined || this.#state?.entries === undefined) return;
    const end = tableEnd(this.#entries);
    for (let from = this.#entries; ; ) {
      const rows = this.#rows.scan(from, end, SCAN_ROWS);
      yield* rows;
      if (rows.length < SCAN_ROWS) return;
      from = `${rows.at(-1)!.key}\0`;
    }
  }

  #read(id: string): { readonly value: unknown; readonly expiry: Expiry | undefined } | undefined {
    const bytes = this.#cell.entry === undefined ? undefined : this.#rows.get(this.#entries + id);
    if (bytes === undefined) return undefined;
    const kept = decodeEntry(bytes, this.#cell.entry!.layout);
    return this.#expired(kept.expiry) ? undefined : kept;
  }

  #expired(expiry: Expiry | undefined): boolean {
    return expiry !== undefined && expiry.at <= this.#watermark;
  }
}
