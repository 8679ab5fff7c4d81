/**
 * The store of one shard in LMDB: one environment, one unnamed database, keys as raw bytes.
 *
 * A commit is one write transaction, so a killed process leaves whole commits only. `noSync` is never set: it
 * corrupts on power loss. With LMDB's overlapping sync the environment always keeps its last flushed state,
 * so power loss takes commits away and never parts of them.
 * One thread opens an environment for writing; the lock on the data directory keeps other processes out.
 */
import { closeSync, existsSync, mkdirSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { TidemarkError } from "../errors.ts";
import { checkRowChanges, checkRowKey } from "./row-changes.ts";
import type { Row, RowChange, ShardStore } from "./shard-store.ts";

const META_MAGIC = 0xbeefc0de;
/** Behind the page header of this build of LMDB. */
const META_MAGIC_OFFSET = 24;

/** Keys are written straight as latin1 bytes: no ordered-binary encoding, no Buffer per key. */
const keyEncoder = {
  writeKey(key: string, target: Buffer, start: number): number {
    // Buffer.write would cut the key; lmdb takes a RangeError as "use a larger buffer".
    if (start + key.length > target.length) throw new RangeError("key does not fit");
    return start + target.write(key, start, "latin1");
  },
  readKey(source: Buffer, start: number, end: number): string {
    return source.toString("latin1", start, end);
  },
};

interface LmdbStats {
  readonly entryCount: number;
  readonly pageSize: number;
  readonly lastPageNumber: number;
}

/** All rows of one commit. */
export interface RowsOfCommit extends Pick<ShardStore, "get" | "scan"> {
  /** Every row as the pages have it, from the first page to the last, also where keys are out of order. */
  walk(): Iterable<Row>;
  /** Rows that the file says it holds. */
  readonly rowCount: number;
}

/** What reads committed rows and can write none. */
export interface StoreReader extends Pick<ShardStore, "get" | "scan" | "close"> {
  /** Rows as of one commit, the newest, until `end`: as long as it lasts the file keeps the pages of that commit. */
  view(): StoreView;
  /** Copies the environment as of one commit into `folder`, which is made: nobody who writes meanwhile is held up. */
  copyTo(folder: string): Promise<void>;
  /** What `read` is given is of one commit. It never awaits: pages that commits free meanwhile stay taken until it returns. */
  atOneCommit<T>(read: (rows: RowsOfCommit) => T): T;
  /** Gives back what processes that died while they read still hold: else the file would grow for ever. */
  forgetDeadReaders(): void;
}

export interface StoreView {
  get(key: string): Uint8Array | undefined;
  end(): void;
}

/**
 * Opens the environment in `folder`, which exists, for reading alone. Another process may write it meanwhile: what is read
 * between two turns of the event loop is of one commit or of two. Fails with `STATE_FORMAT` or `DATA_DIR_UNWRITABLE`.
 */
export function openLmdbReader(folder: string): StoreReader {
  try {
    refuseForeignFile(join(folder, "data.mdb"), "r");
    return new LmdbStore(
      open<Uint8Array, string>({ path: folder, noSubdir: false, encoding: "binary", keyEncoder, cache: false, readOnly: true }),
    );
  } catch (error) {
    throw openError(folder, error);
  }
}

/** Opens or creates the environment in `folder`. Fails with `STATE_FORMAT` or `DATA_DIR_UNWRITABLE`. */
export function openLmdbStore(folder: string): ShardStore {
  try {
    mkdirSync(folder, { recursive: true });
    refuseForeignFile(join(folder, "data.mdb"), "r+");
    // `noSubdir` is said because lmdb takes a folder with a dot in its name for a file. No `mapSize`: the map grows as needed.
    const db = open<Uint8Array, string>({ path: folder, noSubdir: false, encoding: "binary", keyEncoder, cache: false });
    return new LmdbStore(db);
  } catch (error) {
    throw openError(folder, error);
  }
}

function openError(folder: string, error: unknown): TidemarkError {
  if (error instanceof TidemarkError) return error;
  return new TidemarkError(openErrorCode(error), `The state in ${folder} cannot be opened: ${messageOf(error)}.`, { cause: error });
}

class LmdbStore implements ShardStore, StoreReader {
  readonly #db: RootDatabase<Uint8Array, string>;
  #closed: Promise<void> | undefined;

  constructor(db: RootDatabase<Uint8Array, string>) {
    this.#db = db;
  }

  get(key: string): Uint8Array | undefined {
    checkRowKey(key);
    return this.#db.getBinary(key);
  }

  scan(from: string, to: string, limit: number): Row[] {
    const rows: Row[] = [];
    if (from >= to || limit <= 0) return rows;
    // Read to its end at once: an iterator left open would pin the pages of its transaction.
    for (const row of this.#db.getRange({ start: from, end: to, limit })) rows.push(row);
    return rows;
  }

  view(): StoreView {
    // One that was begun before in this turn of the event loop may be of an older commit.
    this.#db.resetReadTxn();
    const transaction = this.#db.useReadTransaction();
    return {
      get: (key) => this.#db.get(key, { transaction }),
      end: () => transaction.done(),
    };
  }

  async copyTo(folder: string): Promise<void> {
    mkdirSync(folder, { recursive: true });
    await this.#db.backup(folder, false);
  }

  atOneCommit<T>(read: (rows: RowsOfCommit) => T): T {
    this.#db.resetReadTxn();
    const transaction = this.#db.useReadTransaction();
    try {
      return read({
        get: (key) => this.#db.get(key, { transaction }),
        scan: (start, end, limit) => [...this.#db.getRange({ start, end, limit, transaction })],
        // lmdb-js takes no range without a start for one from the first key on.
        walk: () => this.#db.getRange({ start: "\0", transaction }),
        rowCount: (this.#db.getStats() as LmdbStats).entryCount,
      });
    } finally {
      transaction.done();
    }
  }

  forgetDeadReaders(): void {
    this.#db.readerCheck();
  }

  commit(changes: readonly RowChange[], done: (error?: Error) => void): void {
    checkRowChanges(changes);
    if (changes.length === 0) {
      done();
      return;
    }
    // LMDB's own writer thread does the work and the fsync; this thread only hands the rows over (1.3 us a row, not 20).
    const batch = this.#db.batch(() => {
      for (const { key, value } of changes) {
        if (value === null) void this.#db.remove(key);
        else void this.#db.put(key, value);
      }
    });
    batch.then(
      () => done(),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
    );
  }

  async flushed(): Promise<void> {
    await this.#db.flushed;
  }

  bytes(): number {
    const { pageSize, lastPageNumber } = this.#db.getStats() as LmdbStats;
    return pageSize * (lastPageNumber + 1);
  }

  close(): Promise<void> {
    this.#closed ??= this.#db.close();
    return this.#closed;
  }
}

/** LMDB crashes the process on a file that is none of its own, so the first meta page is looked at before. */
function refuseForeignFile(file: string, flags: "r" | "r+"): void {
  if (!existsSync(file)) return;
  const header = Buffer.alloc(META_MAGIC_OFFSET + 4);
  const fd = openSync(file, flags);
  try {
    const length = readSync(fd, header, 0, header.length, 0);
    if (length === 0) return;
    if (length === header.length && header.readUInt32LE(META_MAGIC_OFFSET) === META_MAGIC) return;
  } finally {
    closeSync(fd);
  }
  throw new TidemarkError("STATE_FORMAT", `${file} is not an LMDB file.`);
}

function openErrorCode(error: unknown): "STATE_FORMAT" | "DATA_DIR_UNWRITABLE" {
  const message = messageOf(error);
  return /MDB_(INVALID|VERSION_MISMATCH|CORRUPTED|INCOMPATIBLE)/.test(message) ? "STATE_FORMAT" : "DATA_DIR_UNWRITABLE";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
