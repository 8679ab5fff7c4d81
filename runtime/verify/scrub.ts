/**
 * Rereads all rows of a shard and works their sums out anew. The shard may commit meanwhile: each piece is read at one
 * commit, with the sums of that commit, and pieces are bounded in rows, so that a piece holds up the reuse of pages for
 * moments only. Between pieces it rests, so that it takes no more than its share of a core.
 */
import { META_ROW, SUMS_ROW, TABLE } from "../../actors/fold/keys.ts";
import { NO_SLOT } from "../../actors/fold/pump-state.ts";
import { StateSums } from "../../actors/fold/state-hash.ts";
import type { Clock } from "../clock.ts";
import type { RowsOfCommit, StoreReader } from "../store/lmdb-store.ts";
import { type Suspect, searchDamage } from "./damage-search.ts";
import { type Finding, Findings } from "./finding.ts";
import { codecOf } from "./scrub-rows.ts";
import { SLOT_TABLES, SlotScrub } from "./slot-scrub.ts";
import { INDEX_TABLES, scrubIndex, scrubOwnRows, scrubStrays, scrubTouches, scrubWhole, WHOLE_TABLES } from "./table-scrub.ts";

export interface ScrubOptions {
  /** Of a core: above 0, at most 1. */
  readonly share: number;
  readonly clock: Clock;
  /** Told behind each piece how many rows were read in all. */
  readonly progress: (rows: number) => void;
  readonly signal?: AbortSignal;
}

export interface Scrubbed {
  readonly rows: number;
  /** The first hundred of `count`. */
  readonly findings: readonly Finding[];
  readonly count: number;
  /** Pages of the store are damaged: whoever reads them may end. */
  readonly unreadable?: true;
}

/** A piece ends with the slot that reaches it. */
const PIECE_ROWS = 4_096;
const PIECE_SLOTS = 64;
const TELL_ROWS = 65_536;

export async function scrubStore(store: Pick<StoreReader, "atOneCommit">, options: ScrubOptions): Promise<Scrubbed> {
  const scrub = new Scrub(store, options);
  await scrub.run();
  const { rows, findings, unreadable } = scrub;
  return { rows, findings: findings.list, count: findings.count, ...(unreadable ? { unreadable } : {}) };
}

class Scrub {
  readonly findings = new Findings();
  rows = 0;
  unreadable = false;
  readonly #store: Pick<StoreReader, "atOneCommit">;
  readonly #options: ScrubOptions;
  #slot = 0;
  readonly #suspects = new Map<string, Suspect>();

  constructor(store: Pick<StoreReader, "atOneCommit">, options: ScrubOptions) {
    this.#store = store;
    this.#options = options;
  }

  async run(): Promise<void> {
    let empty = true;
    await this.#piece((rows) => {
      empty = rows.get(META_ROW) === undefined && rows.rowCount === 0;
      if (!empty) scrubOwnRows(rows, this.findings);
    });
    if (empty) return;
    while (this.#slot <= NO_SLOT) await this.#piece((rows) => this.#slots(rows));
    for (const table of WHOLE_TABLES) await this.#piece((rows) => this.#whole(rows, table));
    for (const table of INDEX_TABLES) {
      for (let from: string | undefined = table; from !== undefined; ) {
        const at: string = from;
        from = undefined;
        await this.#piece((rows) => (from = this.#index(rows, table, at)));
      }
    }
    for (let from: string | undefined = TABLE.touches; from !== undefined; ) {
      const at: string = from;
      from = undefined;
      await this.#piece((rows) => {
        const { next, rowCount } = scrubTouches(rows, at, PIECE_ROWS, this.findings);
        this.rows += rowCount;
        from = next;
      });
    }
    await this.#piece((rows) => scrubStrays(rows, this.findings));
    if (this.#suspects.size > 0) await this.#piece((rows) => this.#search(rows));
  }

  /** What cannot be read is found too, and the next piece goes on. */
  async #piece(read: (rows: RowsOfCommit) => void): Promise<void> {
    const { clock, share, progress, signal } = this.#options;
    signal?.throwIfAborted();
    const from = cpuMs();
    try {
      this.#store.atOneCommit(read);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.findings.add({}, `rows cannot be read: ${message}`);
      // What LMDB itself says, and nobody who decodes a row.
      this.unreadable ||= message.includes("MDB_");
    }
    progress(this.rows);
    await clock.sleep((cpuMs() - from) * (1 / share - 1), signal);
  }

  #slots(rows: RowsOfCommit): void {
    const first = this.#slot;
    const sums = committedSums(rows);
    const codec = codecOf(rows);
    const before = this.rows;
    while (this.#slot <= NO_SLOT && this.#slot < first + PIECE_SLOTS && this.rows - before < PIECE_ROWS) {
      // Passed before it is read: a slot that cannot be read is not tried for ever.
      const slot = this.#slot++;
      const read = new SlotScrub(rows, slot, codec, this.findings);
      this.rows += read.rowCount;
      for (const table of SLOT_TABLES) this.#compare(sums, read.sums, table, slot);
    }
  }

  #whole(rows: RowsOfCommit, table: string): void {
    const committed = committedSums(rows);
    const { sums, rowCount } = scrubWhole(rows, table, this.findings);
    this.rows += rowCount;
    for (const slot of new Set([...sums.slots(table), ...(committed?.slots(table) ?? [])])) this.#compare(committed, sums, table, slot);
  }

  #index(rows: RowsOfCommit, table: (typeof INDEX_TABLES)[number], from: string): string | undefined {
    const codec = codecOf(rows);
    if (codec === undefined) return undefined;
    const { next, rowCount } = scrubIndex(rows, table, from, PIECE_ROWS, codec, this.findings);
    this.rows += rowCount;
    return next;
  }

  #search(rows: RowsOfCommit): void {
    let read = 0;
    searchDamage(rows, [...this.#suspects.values()], codecOf(rows), this.findings, () => {
      if (++read % TELL_ROWS === 0) this.#options.progress(this.rows);
    });
  }

  #compare(committed: StateSums | undefined, actual: StateSums, table: string, slot: number): void {
    if (committed !== undefined && committed.of(table, slot) !== actual.of(table, slot))
      this.#suspects.set(`${table}${slot}`, { table, slot });
  }
}

/** Of this process. Time by the clock would make it rest for minutes where others keep it from running. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** What they are damaged by is told where the shard's own rows are read. */
function committedSums(rows: RowsOfCommit): StateSums | undefined {
  const bytes = rows.get(SUMS_ROW);
  try {
    return bytes === undefined ? undefined : StateSums.read(bytes);
  } catch {
    return undefined;
  }
}
