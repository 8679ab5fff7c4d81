/**
 * Canonical JSON of an event's data: object keys sorted, no spaces. Two events with the same content have the same
 * text, however their publishers ordered the fields. It also refuses what no handler should ever see.
 */
import { DATA_DEPTH_MAX } from "./bounds.ts";

/** Why data is refused: the quarantine code. */
export class UnsafeData extends Error {
  readonly code: "too-deep" | "unsafe-json";

  constructor(code: "too-deep" | "unsafe-json") {
    super(code);
    this.code = code;
  }
}

/** Throws {@link UnsafeData} for nesting over the bound, a `__proto__` field, `constructor.prototype`, or a lone surrogate. */
export function canonicalJson(value: unknown, depth = 0): string {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) throw new UnsafeData("unsafe-json");
      return JSON.stringify(value);
    case "number":
      return value === 0 ? "0" : String(value);
    case "object":
      if (value === null) return "null";
      if (depth >= DATA_DEPTH_MAX) throw new UnsafeData("too-deep");
      return Array.isArray(value) ? canonicalArray(value, depth) : canonicalObject(value as Record<string, unknown>, depth);
    default:
      return String(value);
  }
}

function canonicalArray(array: readonly unknown[], depth: number): string {
  let text = "[";
  for (let i = 0; i < array.length; i++) text += (i === 0 ? "" : ",") + canonicalJson(array[i], depth + 1);
  return `${text}]`;
}

function canonicalObject(object: Record<string, unknown>, depth: number): string {
  const names = Object.keys(object);
  if (names.length > 1) names.sort();
  let text = "{";
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (name === "__proto__" || (name === "constructor" && hasPrototype(object[name]))) throw new UnsafeData("unsafe-json");
    text += `${i === 0 ? "" : ","}${canonicalJson(name)}:${canonicalJson(object[name], depth + 1)}`;
  }
  return `${text}}`;
}

function hasPrototype(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "prototype");
}
