/** The input of a GET or DELETE as the query of its URL, behind what the URL has already. */

/** `undefined` when the input is no object of texts, numbers, booleans and lists of them. A field that is `null` is left out. */
export function urlWithQuery(url: string, input: unknown): string | undefined {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return undefined;
  const full = new URL(url);
  for (const [name, value] of Object.entries(input)) {
    if (value === null) continue;
    for (const each of Array.isArray(value) ? (value as readonly unknown[]) : [value]) {
      if (typeof each !== "string" && typeof each !== "number" && typeof each !== "boolean") return undefined;
      full.searchParams.append(name, String(each));
    }
  }
  return full.href;
}
