/**
 * What a redrive of a result carries. The dead letter has the call with its whole input, unless the state keeps that, but only
 * the beginning of the result; as a whole that stands in the journal, in the entry at the letter's position.
 */
import { type Redriven, readJournalEntry } from "./journal.ts";
import type { Outcome } from "./result-entry.ts";
import type { DeadLetter } from "./side-outputs.ts";

/**
 * `journalText`: the entry at the dead letter's position, of which the handler failed at the result `index`. That may
 * itself be a redrive. `undefined` when the entry has no result of the call.
 */
export function redrivenCall(letter: Pick<DeadLetter, "key" | "call" | "kept">, journalText: string, index: number): Redriven | undefined {
  const { key, call, kept } = letter;
  const outcome = call === undefined ? undefined : outcomeIn(journalText, index, call.id);
  if (call === undefined || outcome === undefined) return undefined;
  const { id, input, now, cause, minConfidence, sloBreached } = call;
  const least = minConfidence === undefined ? {} : { minConfidence };
  const slo = sloBreached === undefined ? {} : { sloBreached };
  const carried = kept === undefined ? { key } : { key, kept };
  return { ...carried, call: { id, ...(kept === undefined ? { input } : {}), now, cause, ...least, ...slo }, ...outcome };
}

function outcomeIn(journalText: string, index: number, call: string): Outcome | undefined {
  const entry = readJournalEntry(journalText);
  if (entry?.kind === "redrive") return entry.call?.id === call ? entry.call.outcome : undefined;
  const result = entry?.kind === "result" ? entry.results[index] : undefined;
  if (result?.call !== call) return undefined;
  const { call: _call, input: _input, ...outcome } = result;
  return outcome;
}
