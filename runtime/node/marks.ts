/**
 * Marks: the state hash that every copy of a shard keeps at each 65,536th sequence of its log. Copies that have folded the
 * same have the same, wherever their commits fell.
 */
import { META_ROW, readMarkRow, TABLE, tableEnd } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import type { CommittedRows } from "../../actors/fold/rows.ts";

export interface Mark {
  readonly sequence: number;
  readonly stateHash: string;
}

export interface ShardMarks {
  /** Of the history that they are of. */
  readonly epochRoot: number;
  /** In their order. */
  readonly marks: readonly Mark[];
}

export interface MarkDifference {
  /** The newest mark that both have; it differs. */
  readonly sequence: number;
  /** The newest one that does not; 0 when there is none. */
  readonly agreed: number;
}

const MARKS_MAX = 1_000;

/** `undefined` when nothing was committed yet. */
export function marksIn(rows: Pick<CommittedRows, "get" | "scan">): ShardMarks | undefined {
  const bytes = rows.get(META_ROW);
  const meta = bytes === undefined ? undefined : readMeta(bytes);
  if (meta === undefined) return undefined;
  const found = rows.scan(TABLE.mark, tableEnd(TABLE.mark), MARKS_MAX);
  const marks = found.map(({ key, value }) => ({ sequence: readMarkRow(key), stateHash: Buffer.from(value).toString() }));
  return { epochRoot: meta.epochRoot, marks };
}

/** `undefined` when the newest mark that both have is the same, and when they have none in common: then nothing can be said. */
export function markDifference(own: ShardMarks, owners: ShardMarks): MarkDifference | undefined {
  if (own.epochRoot !== owners.epochRoot) return undefined;
  const hashes = new Map(owners.marks.map(({ sequence, stateHash }) => [sequence, stateHash]));
  const common = own.marks.filter(({ sequence }) => hashes.has(sequence));
  const isSame = ({ sequence, stateHash }: Mark): boolean => hashes.get(sequence) === stateHash;
  const newest = common.at(-1);
  if (newest === undefined || isSame(newest)) return undefined;
  return { sequence: newest.sequence, agreed: common.findLast(isSame)?.sequence ?? 0 };
}
