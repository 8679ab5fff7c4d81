/** What a key was given up to a place of its log, from its beginning on, and which outputs it wrote: what a test of it is made of. */
import { formatPosition, type Position } from "../../actors/model/position.ts";
import { TidemarkError } from "../errors.ts";
import type { FoldWatch, History, Past, PastShard } from "./history.ts";
import { type KeyStep, keySteps, recordNames } from "./key-history.ts";
import type { KeyItem } from "./key-item.ts";
import { touchedSpans } from "./key-touches.ts";
import type { PastFold } from "./past-fold.ts";
import { WHOLE_ENTRY } from "./timeline.ts";

export interface KeyQuestion {
  readonly shard: PastShard;
  readonly token: string;
  /** The last place that counts. */
  readonly position: Pick<Position, "sequence" | "index">;
}

export interface GivenHistory {
  readonly steps: readonly KeyStep[];
  /** Numbers of the outputs, ascending; without side outputs. */
  readonly outputs: readonly number[];
}

/** Beyond it nobody reads the test: an earlier place makes a shorter one. */
const ITEMS_MAX = 10_000;
const OUTPUTS_MAX = 10_000;
export const GIVEN_BYTES_MAX = 16 * 1024 * 1024;
/** Folded before it is looked how much it has become. */
const PORTION = 100;
const SIDE_OUTPUT = "tidemark.";

/** From the beginning of a key on: how much it takes. Throws as History.past does. */
export async function planKeyHistory(history: History, { shard, token, position }: KeyQuestion): Promise<Past> {
  const touches = await history.touchesOf(shard, token);
  const first = touches === undefined ? undefined : (await touchedSpans(touches, 1, 1))[0];
  const from = Math.min(first?.from ?? 1, position.sequence);
  const past = await history.past(shard, { kind: "position", sequence: from - 1, index: WHOLE_ENTRY });
  return { ...past, entries: past.entries + position.sequence + 1 - from };
}

/** All that the shard has committed; `undefined` when that is nothing. */
export async function wholeHistory(history: History, shard: PastShard, token: string): Promise<KeyQuestion | undefined> {
  const touches = await history.touchesOf(shard, token);
  return touches === undefined ? undefined : { shard, token, position: { sequence: touches.end - 1, index: WHOLE_ENTRY } };
}

/** `undefined` when it was given nothing. Throws HISTORY_TRIMMED, TEST_INPUT beyond a bound, and as History.visit does. */
export async function readGiven(history: History, question: KeyQuestion, past: Past, watch: FoldWatch): Promise<GivenHistory | undefined> {
  const { shard, token, position } = question;
  return await history.visit(past, watch, async (fold) => {
    await refuseBegun(fold, question);
    await fold.look(token);
    const items: KeyItem[] = [];
    let bytes = 0;
    for (let last = -1; last !== 0; ) {
      const found = await fold.foldTo({ kind: "position", sequence: position.sequence, index: position.index }, PORTION);
      last = found.length;
      items.push(...found);
      for (const item of found) bytes += JSON.stringify(item).length;
      if (items.length > ITEMS_MAX || bytes > GIVEN_BYTES_MAX) throw tooLong(shard, items);
    }
    if (items.length === 0) return undefined;
    const outputs = items.flatMap((item) => item.outputs.filter(({ type }) => !type.startsWith(SIDE_OUTPUT)).map(({ k }) => k));
    if (outputs.length > OUTPUTS_MAX) throw tooLong(shard, items);
    return { steps: keySteps(shard.partition, items, await fold.records(recordNames(items))), outputs };
  });
}

/** Where the log no longer has its beginning, what is left of it would not give the same outputs. */
async function refuseBegun(fold: PastFold, { shard: { job, partition }, token }: KeyQuestion): Promise<void> {
  for (const { name } of job.actors) {
    if ((await fold.actor(name, token)) === undefined) continue;
    const from = formatPosition(partition, fold.stand.cursor.sequence, 0);
    throw new TidemarkError(
      "HISTORY_TRIMMED",
      `The actor ${name} of this key is older than ${from}, where the log of ${job.name} begins for it.`,
    );
  }
}

function tooLong({ job, partition }: PastShard, items: readonly KeyItem[]): TidemarkError {
  const { sequence, index } = items[Math.min(items.length, ITEMS_MAX) >> 1]!;
  return new TidemarkError(
    "TEST_INPUT",
    `The history of this key in ${job.name} is too long for a test: at most ${ITEMS_MAX} events, timers and results, as many outputs, and ${GIVEN_BYTES_MAX} bytes. One that ends at ${formatPosition(partition, sequence, index)} is shorter.`,
  );
}
