/**
 * Proves a shard: folds its log again, from a snapshot or from the start, and holds what comes of it against all that was
 * kept of the first time: the outputs that were published, the state hashes of later snapshots and of marks, and in the
 * end the rows of the shard. It ends at the first difference; what makes it lies behind the check before.
 */
import { META_ROW, readMarkRow, SUMS_ROW, TABLE, tableEnd } from "../../actors/fold/keys.ts";
import { type Epoch, type Meta, readMeta } from "../../actors/fold/meta.ts";
import type { CommittedRows } from "../../actors/fold/rows.ts";
import { StateSums, stateHash } from "../../actors/fold/state-hash.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { TidemarkError } from "../errors.ts";
import { HistoricFold, type HistoricParts } from "../history/historic-fold.ts";
import { primitives } from "../primitives.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import type { PublishedOutputs } from "./published-outputs.ts";
import { rowDifference } from "./row-difference.ts";
import type { BuildVerdict, Check, VerifyDifference } from "./verify-task.ts";

export interface ProofParts extends Omit<HistoricParts, "onOutputs" | "betweenUnits"> {
  /** The rows of the shard, of one commit. */
  readonly actual: CommittedRows;
  readonly outputs: PublishedOutputs;
  /** Snapshots of the shard that lie behind where the fold begins, in their order. */
  readonly snapshots: readonly ShardManifest[];
  readonly from: string;
  /** Snapshots that cannot be read. */
  readonly remarks: readonly string[];
  /** Only marks and rows count. A mark that differs is passed over where rows differ as well, for these name an actor. */
  readonly copyOnly?: boolean;
  /** What was proven before by the build that folded what stands in the store. */
  readonly before?: BuildVerdict | undefined;
  readonly progress: (entries: number, total: number) => void;
}

/** Where the fold is to be compared, and with what. */
interface Stop {
  readonly check: Check;
  readonly cursor: Meta["cursor"];
  readonly stateHash: string;
  readonly isMark: boolean;
}

class Ended extends Error {}

const ROW_TELL = 100_000;

export async function prove(parts: ProofParts): Promise<BuildVerdict> {
  return await new Proof(parts).run();
}

class Proof {
  readonly #parts: ProofParts;
  readonly #stops: Stop[];
  readonly #held: { snapshots: number; marks: number };
  readonly #live: Meta;
  #remarks: string[];
  /** Snapshots that one of the builds could not read. */
  readonly #unreadable: readonly string[];
  #fold!: HistoricFold;
  #after: string;
  #stateHash: string | null = null;
  #position: string | null = null;
  #difference: VerifyDifference | undefined;
  /** The first that was passed over. */
  #passed: VerifyDifference | undefined;
  /** Whose code goes on. */
  #next: Epoch | undefined;

  constructor(parts: ProofParts) {
    this.#parts = parts;
    const { before } = parts;
    this.#unreadable = [...new Set([...(before?.unreadable ?? []), ...parts.remarks])];
    this.#remarks = [...new Set([...(before?.remarks ?? []), ...parts.remarks])];
    this.#held = { snapshots: before?.snapshots ?? 0, marks: before?.marks ?? 0 };
    this.#after = before?.after ?? parts.from;
    this.#stateHash = before?.stateHash ?? null;
    this.#position = before?.position ?? null;
    if (parts.copyOnly === true) this.#passed = before?.difference ?? undefined;
    const live = readMeta(parts.actual.get(META_ROW)!);
    if (live === undefined) throw new TidemarkError("STATE_FORMAT", "The shard's state has another format.");
    this.#live = live;
    this.#stops = this.#stopsOf(live);
  }

  async run(): Promise<BuildVerdict> {
    const { outputs } = this.#parts;
    this.#fold = await HistoricFold.open({
      ...this.#parts,
      onOutputs: async (folded) => {
        if (this.#parts.copyOnly === true) return;
        await outputs.compare(folded);
        if (outputs.difference !== undefined) throw new Ended();
      },
      betweenUnits: () => this.#between(),
    });
    const { cursor } = this.#fold.meta;
    // Where another build ended it has compared what stands there, and its rows have no shapes of this one.
    const isSeen = (order: number): boolean => order < 0 || (order === 0 && this.#parts.before !== undefined);
    const isPast = ({ check, cursor: at }: Stop): boolean => check.kind !== "state" && isSeen(compareCursors(at, cursor));
    while (this.#stops[0] !== undefined && isPast(this.#stops[0])) this.#stops.shift();
    const first = cursor.sequence;
    const end = this.#live.cursor.sequence + 1;
    try {
      await this.#between();
      for (;;) {
        const target = { kind: "position", sequence: Number.MAX_SAFE_INTEGER, index: 0 } as const;
        const result = await this.#fold.step(target, { end, entriesMax: 20_000, msMax: 200 });
        this.#parts.progress(this.#fold.meta.cursor.sequence - first, end - first);
        if (result === "more") continue;
        if (result === "other-code") this.#next = this.#fold.meta.epoch;
        else await this.#between(true);
        break;
      }
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
    }
    return this.#verdict();
  }

  #stopsOf(live: Meta): Stop[] {
    const { snapshots, actual, partition } = this.#parts;
    const atPosition = ({ sequence, index }: { sequence: number; index: number }): string => formatPosition(partition, sequence, index);
    const stops: Stop[] = snapshots.map(({ id, cursor, last, stateHash }) => ({
      check: { kind: "snapshot", name: id, position: atPosition(last) },
      cursor,
      stateHash,
      isMark: false,
    }));
    for (const { key, value } of actual.scan(TABLE.mark, tableEnd(TABLE.mark), 1_000)) {
      const sequence = readMarkRow(key);
      const check: Check = { kind: "mark", name: String(sequence), position: atPosition({ sequence, index: 0 }) };
      stops.push({
        check,
        cursor: { sequence: sequence + 1, index: 0, phase: "start" },
        stateHash: Buffer.from(value).toString(),
        isMark: true,
      });
    }
    const isBehindLive = ({ cursor }: Stop): boolean => compareCursors(cursor, live.cursor) > 0;
    const ordered = stops.filter((stop) => !isBehindLive(stop)).sort((a, b) => compareCursors(a.cursor, b.cursor));
    return [
      ...ordered,
      {
        check: { kind: "state", name: atPosition(live.last), position: atPosition(live.last) },
        cursor: live.cursor,
        stateHash: this.#liveHash(),
        isMark: false,
      },
    ];
  }

  /** As its sums and its meta row say; the rows may be others. */
  #liveHash(): string {
    const { actual } = this.#parts;
    return stateHash(StateSums.read(actual.get(SUMS_ROW)!), META_ROW, actual.get(META_ROW)!, primitives);
  }

  /**
   * Compares where the fold stands at the next stop. Several units may stand at one cursor, as timers do that the opening of an
   * entry fires: the state of one of them it must be. A mark is of the first of them.
   */
  async #between(isEnd = false): Promise<void> {
    for (let stop = this.#stops[0]; stop !== undefined; stop = this.#stops[0]) {
      const { cursor } = this.#fold.meta;
      const order = compareCursors(cursor, stop.cursor);
      if (order < 0 && !isEnd) return;
      if (stop.isMark && order !== 0 && !this.#standsBehind(stop)) {
        this.#stops.shift();
        continue;
      }
      if (order === 0 || stop.isMark) {
        const hash = await this.#fold.commit();
        if (hash === stop.stateHash && this.#rowsHold(stop, hash)) continue;
        if (hash !== stop.stateHash && !stop.isMark && !isEnd && !this.#isUnitOf(stop)) return;
      }
      await this.#differs(stop);
    }
  }

  /** Whether the shard stood at exactly this unit: then rows that differ are looked for here, not behind the next one. */
  #isUnitOf({ check }: Stop): boolean {
    const { store, actual } = this.#parts;
    return check.kind === "state" && Buffer.compare(store.get(META_ROW)!, actual.get(META_ROW)!) === 0;
  }

  /** Whether nothing behind the mark was folded yet: what follows it may begin later, for a sequence that was erased is no entry. */
  #standsBehind({ check }: Stop): boolean {
    const { cursor, last } = this.#fold.meta;
    return cursor.index === 0 && cursor.phase === "start" && last.sequence <= Number(check.name);
  }

  #rowsHold({ check }: Stop, hash: string): boolean {
    const { kind, position } = check;
    const { job, store, actual } = this.#parts;
    if (kind === "state" && rowDifference(job, store, actual, this.#onRow) !== undefined) return false;
    this.#stops.shift();
    if (kind === "snapshot") this.#held.snapshots++;
    if (kind === "mark") this.#held.marks++;
    this.#after = nameOf(check);
    this.#position = position;
    this.#stateHash = hash;
    if (kind === "state") throw new Ended();
    return true;
  }

  async #differs({ check, stateHash }: Stop): Promise<void> {
    const { kind, name, position } = check;
    const base = { kind, name, after: this.#after, at: position };
    const found = kind === "state" ? rowDifference(this.#parts.job, this.#parts.store, this.#parts.actual, this.#onRow) : undefined;
    const hash = found === undefined ? await this.#fold.commit() : "";
    const difference =
      found === undefined
        ? { ...base, ...NOWHERE, expected: `state hash ${hash}`, actual: `state hash ${stateHash}`, rows: 0 }
        : { ...base, ...found.place, expected: found.expected, actual: found.actual, rows: found.rows };
    if (kind === "state" || this.#parts.copyOnly !== true) {
      this.#difference = difference;
      throw new Ended();
    }
    this.#passed ??= difference;
    this.#stops.shift();
  }

  #rowsSeen = 0;
  readonly #onRow = (): void => {
    const { cursor } = this.#live;
    if (++this.#rowsSeen % ROW_TELL === 0) this.#parts.progress(cursor.sequence, cursor.sequence);
  };

  #verdict(): BuildVerdict {
    const { job, partition, from, outputs, before } = this.#parts;
    if (outputs.trimmed > 0) this.#remarks.push(`${outputs.trimmed} outputs are gone from the beginning of their stream`);
    const difference = this.#outputDifference() ?? this.#difference ?? this.#passed ?? null;
    return {
      job: job.name,
      shard: partition,
      ok: difference === null && this.#stops.length === 0 && this.#unreadable.length === 0,
      unreadable: this.#unreadable,
      from,
      entries: (before?.entries ?? 0) + this.#fold.folded,
      outputs: (before?.outputs ?? 0) + outputs.compared,
      ...this.#held,
      position: this.#position,
      stateHash: this.#stateHash,
      difference,
      remarks: this.#remarks,
      after: this.#after,
      ...(this.#next === undefined ? {} : { next: nextOf(this.#next) }),
    };
  }

  #outputDifference(): VerifyDifference | undefined {
    const found = this.#parts.outputs.difference;
    if (found === undefined) return undefined;
    const { k, key, position, expected, actual } = found;
    return { kind: "output", name: String(k), after: this.#after, at: position ?? "", ...NOWHERE, key, expected, actual, rows: 0 };
  }
}

function nextOf({ sequence, ...epoch }: Epoch): NonNullable<BuildVerdict["next"]> {
  return { epoch, sequence };
}

function nameOf({ kind, name }: Check): string {
  return `${kind} ${name}`;
}

const NOWHERE = { table: null, slot: null, key: null, actor: null, cell: null };

function compareCursors(a: Meta["cursor"], b: Meta["cursor"]): number {
  return a.sequence - b.sequence || a.index - b.index || phaseOf(a) - phaseOf(b);
}

function phaseOf({ phase }: Meta["cursor"]): number {
  return phase === "timers" ? 1 : 0;
}
