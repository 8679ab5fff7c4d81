/** A map in two turns: when the newer one is full, the older goes and the newer takes its place. So the last entries are known, and no more. */
import type { MapCell } from "../model/cells/map.ts";

/** Entries of a turn. Moving them is one handler's work. */
const TURN_MAX = 20_000;

type Turn<V> = MapCell<string, V>;

export function known<V>(newer: Turn<V>, older: Turn<V>, key: string): ReturnType<Turn<V>["get"]> {
  return newer.get(key) ?? older.get(key);
}

export function remember<V>(newer: Turn<V>, older: Turn<V>, key: string, value: Parameters<Turn<V>["set"]>[1]): void {
  if (newer.size >= TURN_MAX && !newer.has(key)) {
    older.clear();
    for (const [each, kept] of newer.entries()) older.set(each, kept);
    newer.clear();
  }
  newer.set(key, value);
}
