/** Where two states of a key differ: cell by cell, and in a cell with named entries entry by entry. */
import type { ActorRecord } from "../node/actor-record.ts";
import type { StateChange } from "./key-item.ts";

/** By the actor's type; an actor that is not there has no state. */
export type KeyStates = Readonly<Record<string, ActorRecord["state"]>>;

type Fields = Readonly<Record<string, unknown>>;

export function changesBetween(before: KeyStates, after: KeyStates): StateChange[] {
  const changes: StateChange[] = [];
  for (const actor of namesOf(before, after)) {
    const [old, now] = [before[actor] ?? {}, after[actor] ?? {}];
    for (const cell of namesOf(old, now)) {
      if (!same(valueIn(old, cell), valueIn(now, cell))) changes.push(...ofCell(actor, cell, valueIn(old, cell), valueIn(now, cell)));
    }
  }
  return changes;
}

function ofCell(actor: string, cell: string, before: unknown, after: unknown): StateChange[] {
  if (!isFields(before ?? {}) || !isFields(after ?? {})) {
    return [{ actor, cell, entry: undefined, before: before ?? null, after: after ?? null }];
  }
  const [old, now] = [(before ?? {}) as Fields, (after ?? {}) as Fields];
  return namesOf(old, now)
    .filter((entry) => !same(valueIn(old, entry), valueIn(now, entry)))
    .map((entry) => ({ actor, cell, entry, before: valueIn(old, entry) ?? null, after: valueIn(now, entry) ?? null }));
}

/** An entry may be called like what every object has. */
function valueIn(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

function namesOf(a: Fields, b: Fields): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])];
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
