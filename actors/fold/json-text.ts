/**
 * What the fold asks of the JSON text of a parsed value. Such a value may be nested as deep as its bytes allow, and
 * `JSON.stringify` would then pass the end of the stack, whose depth no two machines share; nothing here does.
 */
import { DATA_DEPTH_MAX } from "./bounds.ts";

/** Bytes of the value's JSON text as UTF-8, written without spaces. */
export function jsonBytes(value: unknown, encodeUtf8: (text: string) => Uint8Array): number {
  let bytes = 0;
  const left = [value];
  while (left.length > 0) {
    const part = left.pop();
    if (typeof part !== "object" || part === null) {
      bytes += encodeUtf8(JSON.stringify(part)).length;
      continue;
    }
    const parts = Object.values(part);
    bytes += 2 + Math.max(0, parts.length - 1);
    for (const inner of parts) left.push(inner);
    if (!Array.isArray(part)) for (const name of Object.keys(part)) bytes += encodeUtf8(JSON.stringify(name)).length + 1;
  }
  return bytes;
}

/** The value's JSON text; what is nested deeper than data may be is written as `"…"`. */
export function jsonText(value: unknown): string {
  return JSON.stringify(pruned(value, DATA_DEPTH_MAX + 1));
}

function pruned(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return "…";
  if (Array.isArray(value)) return value.map((part) => pruned(part, depth - 1));
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, pruned(part, depth - 1)]));
}
