/** JSON pointers (RFC 6901): where in an input a value is taken from, and where in an answer the output lies. */

const POINTER = /^(?:\/(?:[^~/]|~[01])*)*$/;

/** The names that a pointer leads through; `undefined` when the text is none. */
export function readPointer(text: string): readonly string[] | undefined {
  if (!POINTER.test(text)) return undefined;
  return text
    .split("/")
    .slice(1)
    .map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** `undefined` when there is nothing; JSON has no such value. */
export function valueAt(value: unknown, names: readonly string[]): unknown {
  let at = value;
  for (const name of names) {
    if (typeof at !== "object" || at === null) return undefined;
    if (Array.isArray(at) && !/^(?:0|[1-9]\d*)$/.test(name)) return undefined;
    if (!Object.hasOwn(at, name)) return undefined;
    at = (at as Readonly<Record<string, unknown>>)[name];
  }
  return at;
}
