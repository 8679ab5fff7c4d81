/**
 * What one way of folding a history gave, as a record that crosses threads, and where two of them first differ.
 */
import { META_ROW, TABLE, tableEnd } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import type { Job } from "../../actors/model/job.ts";
import { ActorRows, tokenOf } from "../node/actor-record.ts";
import type { ShardStore } from "../store/shard-store.ts";
import { foldHistory, type History, type Interruptions } from "./fold-history.ts";

export interface ReplayedOutput {
  readonly subject: string;
  readonly text: string;
  readonly chain: string;
}

/** One cell of an actor, or all its timers, as a text. */
export interface CellText {
  readonly actor: string;
  readonly key: string;
  /** `cell <name>`, `timers` or `dedupe`. */
  readonly part: string;
  readonly text: string;
}

export interface Replayed {
  readonly outputs: readonly ReplayedOutput[];
  /** Of all rows; `undefined` where only outputs and cells are known. */
  readonly stateHash: string | undefined;
  /** State hash behind each position, in order; empty when the way does not commit between units. */
  readonly trail: readonly (readonly [position: string, stateHash: string])[];
  /** `undefined` when there are too many actors to compare them one by one. */
  readonly cells: readonly CellText[] | undefined;
}

export interface Difference {
  /** Which way of folding differed. */
  readonly way: string;
  /** Number of the first output that differs; 0 when only the state does. */
  readonly output: number;
  /** What differs: `output 3, meter.daily-total`, `cell days of actor meter`, `state`. */
  readonly what: string;
  /** Of the actor; `undefined` where it is not known. */
  readonly key: string | undefined;
  /** The entry that was being folded; `undefined` where it is not known. */
  readonly position: string | undefined;
  readonly expected: string;
  readonly actual: string;
}

/** Beyond it actors are compared by the state hash alone. */
const ACTORS_MAX = 10_000;
/** Positions whose state hash is kept. */
const TRAIL_MAX = 100_000;
const SCAN_ROWS = 1_000;

export function replay(history: History, way: Interruptions): Replayed {
  const trail = new Map<string, string>();
  const { outputs, stateHash, store } = foldHistory(history, way, (position, hash) => {
    if (trail.size < TRAIL_MAX || trail.has(position)) trail.set(position, hash);
  });
  return {
    stateHash,
    trail: [...trail],
    outputs: outputs.map(({ subject, payload, chain }) => ({ subject, chain, text: Buffer.from(payload).toString() })),
    cells: cellTexts(history.job, store),
  };
}

/** Every actor of a store, cell by cell; `undefined` when there are too many. */
export function cellTexts(job: Job, store: ShardStore): CellText[] | undefined {
  const metaRow = store.get(META_ROW);
  const watermark = metaRow === undefined ? undefined : readMeta(metaRow)?.watermark;
  const actors = new ActorRows(job, store);
  const cells: CellText[] = [];
  let keys = 0;
  for (let from: string = TABLE.key; ; ) {
    const rows = store.scan(from, tableEnd(TABLE.key), SCAN_ROWS);
    keys += rows.length;
    if (keys > ACTORS_MAX) return undefined;
    for (const row of rows) {
      for (let number = 0; number < job.actors.length; number++) {
        const record = actors.read(number, tokenOf(row.key), watermark);
        if (record === undefined) continue;
        const { type: actor, key, state, timers, dedupe } = record;
        for (const [name, value] of Object.entries(state)) cells.push({ actor, key, part: `cell ${name}`, text: JSON.stringify(value) });
        cells.push({ actor, key, part: "timers", text: JSON.stringify(timers) });
        cells.push({ actor, key, part: "dedupe", text: JSON.stringify(dedupe) });
      }
    }
    if (rows.length < SCAN_ROWS) return cells;
    from = `${rows.at(-1)!.key}\0`;
  }
}

/** Where `actual` first differs from `expected`: in an output, else in the state. */
export function firstDifference(way: string, expected: Replayed, actual: Replayed): Difference | undefined {
  const count = Math.max(expected.outputs.length, actual.outputs.length);
  for (let i = 0; i < count; i++) {
    const a = expected.outputs[i];
    const b = actual.outputs[i];
    if (a?.chain === b?.chain) continue;
    return { way, output: i + 1, ...aboutOutput(i + 1, (a ?? b)!), expected: a?.text ?? "no output", actual: b?.text ?? "no output" };
  }
  const hashes = expected.stateHash !== undefined && actual.stateHash !== undefined;
  if (hashes && expected.stateHash === actual.stateHash) return undefined;
  return cellDifference(way, expected, actual) ?? (hashes ? stateDifference(way, expected, actual) : undefined);
}

/** Type, key and position of an output, as it says itself. */
export function aboutOutput(number: number, { text }: ReplayedOutput): Pick<Difference, "what" | "key" | "position"> {
  const { type, subject, position } = JSON.parse(text) as { readonly type: string; readonly subject?: string; readonly position: string };
  return { what: `output ${number}, ${type}`, key: subject, position };
}

function cellDifference(way: string, expected: Replayed, actual: Replayed): Difference | undefined {
  if (expected.cells === undefined || actual.cells === undefined) return undefined;
  const nameOf = ({ actor, key, part }: CellText): string => JSON.stringify([actor, key, part]);
  const wanted = new Map(expected.cells.map((cell) => [nameOf(cell), cell]));
  const found = new Map(actual.cells.map((cell) => [nameOf(cell), cell]));
  for (const [name, cell] of new Map([...wanted, ...found])) {
    const a = wanted.get(name)?.text ?? "nothing";
    const b = found.get(name)?.text ?? "nothing";
    if (a === b) continue;
    const what = `${cell.part} of actor ${cell.actor}`;
    return { way, output: 0, what, key: cell.key, position: firstPosition(expected, actual), expected: a, actual: b };
  }
  return undefined;
}

function stateDifference(way: string, expected: Replayed, actual: Replayed): Difference {
  const position = firstPosition(expected, actual);
  const hash = ({ stateHash }: Replayed): string => `state hash ${stateHash}`;
  return { way, output: 0, what: "state", key: undefined, position, expected: hash(expected), actual: hash(actual) };
}

/** The first position behind which the two had different state. */
function firstPosition(expected: Replayed, actual: Replayed): string | undefined {
  const hashes = new Map(actual.trail);
  return expected.trail.find(([position, hash]) => hashes.has(position) && hashes.get(position) !== hash)?.[0];
}
