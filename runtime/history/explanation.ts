/** Why an output is what it is: what its unit was called for, what its key had been given, and the code that folded it. */
import type { Epoch } from "../../actors/fold/meta.ts";
import { writeKey } from "../../actors/model/key.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { formatInstant } from "../../actors/model/time.ts";
import type { KeyQuestion } from "./given.ts";
import type { RecordFact } from "./historic-states.ts";
import type { FoldWatch, History, Past } from "./history.ts";
import { type KeyStep, keySteps, recordNames } from "./key-history.ts";
import type { KeyItem } from "./key-item.ts";
import { touchedSpans } from "./key-touches.ts";
import type { KeyStates } from "./state-changes.ts";
import { WHOLE_ENTRY } from "./timeline.ts";

export interface OutputQuestion extends KeyQuestion {
  readonly k: number;
}

/** Plain JSON. */
export interface Explanation {
  /** What the unit that wrote it was called for; `null` when this fold wrote no such output. */
  readonly cause: Readonly<Record<string, unknown>> | null;
  /** `<actor>.<handler>`; `null` for an output that no handler wrote. */
  readonly handler: string | null;
  /** What the key had been given up to there, in order; at most the last 10,000, and 32 MiB of results among them. */
  readonly inputs: readonly KeyStep[];
  /** False when there was more, or may have been before what the log still has. */
  readonly complete: boolean;
  readonly state: { readonly before: KeyStates; readonly after: KeyStates } | null;
  readonly references: readonly Readonly<Record<string, unknown>>[];
  readonly calls: readonly Readonly<Record<string, unknown>>[];
  readonly epoch: Pick<Epoch, "sequence" | "version" | "codeHash" | "tidemark" | "node">;
}

const INPUTS_MAX = 10_000;
const RESULT_CHARS_MAX = 32 * 1024 * 1024;
/** Of one piece on the way. */
const PIECE_ITEMS = 2_000;

export interface ExplanationPlan {
  readonly past: Past;
  /** Nothing of the history lies before it. */
  readonly whole: boolean;
}

/** How much it takes: from the first entry that the log still has of the key. Throws as History.past does. */
export async function planExplanation(history: History, { shard, token, position }: OutputQuestion): Promise<ExplanationPlan> {
  const touches = await history.touchesOf(shard, token);
  const { sequence, whole } = (await history.start(shard)) ?? { sequence: 1, whole: true };
  const first = touches === undefined ? undefined : (await touchedSpans(touches, sequence, 1))[0];
  const from = Math.min(first?.from ?? sequence, position.sequence);
  const past = await history.past(shard, { kind: "position", sequence: from - 1, index: WHOLE_ENTRY });
  return { past: { ...past, entries: past.entries + position.sequence + 1 - from }, whole };
}

export async function explain(
  history: History,
  question: OutputQuestion,
  { past, whole }: ExplanationPlan,
  watch: FoldWatch,
): Promise<Explanation> {
  const { shard, token, k, position } = question;
  return await history.visit(past, watch, async (fold) => {
    await fold.look(token);
    let inputs: KeyItem[] = [];
    let complete = whole;
    // Piece by piece: a key may have been given far more than is shown.
    const foldTo = async (sequence: number, index: number): Promise<void> => {
      for (let found = -1; found !== 0; ) {
        const items = await fold.foldTo({ kind: "position", sequence, index }, PIECE_ITEMS);
        found = items.length;
        inputs = inputs.concat(items);
        const kept = lastOf(inputs);
        if (kept.length < inputs.length) complete = false;
        inputs = kept;
      }
    };
    await foldTo(position.sequence - 1, WHOLE_ENTRY);
    await fold.showStates(k);
    await foldTo(position.sequence, position.index);
    const { sequence, version, codeHash, tidemark, node } = fold.stand.epoch;
    const at = inputs.findIndex(({ outputs }) => outputs.some((output) => output.k === k));
    const known = at === -1 ? inputs : inputs.slice(0, at + 1);
    const records = await fold.records(recordNames(known));
    const item = at === -1 ? undefined : inputs[at];
    return {
      cause: item === undefined ? null : causeOf(shard.partition, item, known),
      handler: item?.outputs.find((output) => output.k === k)?.handler ?? null,
      inputs: keySteps(shard.partition, known, records),
      complete,
      state: (await fold.around()) ?? null,
      references: item === undefined ? [] : referencesOf(item, records),
      calls: callsOf(shard.partition, known),
      epoch: { sequence, version, codeHash, tidemark, node },
    };
  });
}

/** Of as many as are shown; the very last one is, however large. */
function lastOf(inputs: readonly KeyItem[]): KeyItem[] {
  let chars = 0;
  let from = inputs.length;
  for (; from > 0 && inputs.length - from < INPUTS_MAX; from--) {
    const item = inputs[from - 1]!;
    if (item.kind === "result") chars += JSON.stringify(item.outcome).length;
    if (chars > RESULT_CHARS_MAX && from < inputs.length) break;
  }
  return inputs.slice(from);
}

function causeOf(partition: number, item: KeyItem, known: readonly KeyItem[]): Readonly<Record<string, unknown>> {
  const position = formatPosition(partition, item.sequence, item.index);
  if (item.kind === "event") {
    const { id, type, source, time, disposition, code } = item.event;
    return {
      kind: "event",
      position,
      id,
      type,
      source,
      time: time === undefined ? null : formatInstant(time),
      disposition,
      ...(code === undefined ? {} : { code }),
    };
  }
  if (item.kind === "timer") {
    const { actor, name, id, clock, at, armedBy } = item;
    return { kind: "timer", position, actor, name, id, clock, at: formatInstant(at), armedBy: eventOf(partition, armedBy, known) };
  }
  if (item.kind === "result") {
    const { actor, effect, call, outcome } = item;
    return { kind: "result", position, actor, effect, call, outcome };
  }
  if (item.kind === "redrive") return { kind: "redrive", position, deadLetter: item.deadLetter, handler: item.handler };
  return { kind: "expiry", position, actor: item.actor, cell: item.cell };
}

/** The event of an id, as far as it is known where it stood. */
function eventOf(partition: number, id: string, known: readonly KeyItem[]): Readonly<Record<string, unknown>> {
  const armed = known.findLast((item) => item.kind === "event" && item.event.id === id && isTaken(item.event.disposition));
  if (armed?.kind !== "event") return { id };
  const { type, source, time } = armed.event;
  const position = formatPosition(partition, armed.sequence, armed.index);
  return { id, type, source, time: time === undefined ? null : formatInstant(time), position };
}

function isTaken(disposition: string): boolean {
  return disposition === "applied" || disposition === "behind" || disposition === "late";
}

function referencesOf(item: KeyItem, records: readonly RecordFact[]): Readonly<Record<string, unknown>>[] {
  return item.lookups.map((lookup) => {
    const cut = lookup.lastIndexOf(":");
    const version = Number(lookup.slice(cut + 1));
    const [table = ""] = lookup.split(":");
    const found = records.find(
      (record) =>
        record.table === table &&
        record.version === version &&
        lookup.startsWith(`${table}:`) &&
        lookup.slice(table.length + 1, cut) === writeKey(record.id),
    );
    if (found === undefined) return { table, lookup, version };
    return { table, id: found.id, version, effectiveFrom: formatInstant(found.effectiveFrom), data: found.data };
  });
}

function callsOf(partition: number, known: readonly KeyItem[]): Readonly<Record<string, unknown>>[] {
  const calls = new Map<string, Record<string, unknown>>();
  for (const item of known) {
    const position = formatPosition(partition, item.sequence, item.index);
    for (const { id, effect, input } of item.calls) calls.set(id, { id, effect, input, requestedAt: position, result: null });
    const asked = item.kind === "result" ? calls.get(item.call) : undefined;
    if (item.kind === "result" && asked !== undefined) asked.result = { position, ...item.outcome };
  }
  return [...calls.values()];
}
