/** Paths into a JSON value: names with dots between them, "" for the value itself. Only what the value itself has is found. */

export type JsonPath = readonly string[];

export function jsonPath(text: string): JsonPath {
  return text === "" ? [] : text.split(".");
}

/** `undefined` for nothing there. */
export function at(value: unknown, path: JsonPath): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null || Array.isArray(found) || !Object.hasOwn(found, name)) return undefined;
    found = (found as Record<string, unknown>)[name];
  }
  return found;
}
