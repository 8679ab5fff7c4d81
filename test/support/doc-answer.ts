/** Answers as pages show them: JSON, several values one after the other, with `…` for what is left out. */

/** The values of a text; throws SyntaxError. */
export function jsonValues(text: string): unknown[] {
  const values: unknown[] = [];
  let depth = 0;
  let start: number | undefined;
  for (const { 0: token, index } of text.replace(/,?\s*…\s*(?=[}\]])/g, "").matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]|[^\s{}[\]"]+|\s+/g)) {
    if (token.trim() === "") continue;
    start ??= index;
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    if (depth > 0) continue;
    values.push(JSON.parse(text.replace(/,?\s*…\s*(?=[}\]])/g, "").slice(start, index + token.length)));
    start = undefined;
  }
  if (depth !== 0) throw new SyntaxError(`it is not closed: ${text}`);
  return values;
}

/**
 * Where the fields of the answer are not those of the page; `undefined` when they agree. Values may differ, also in
 * being null; of lists the first items are compared, where both have one.
 */
export function shapeFault(shown: unknown, answered: unknown, path = "$"): string | undefined {
  if (shown === null || answered === null) return undefined;
  if (kindOf(shown) !== kindOf(answered)) return `${path}: ${kindOf(shown)} in the page, ${kindOf(answered)} in the answer`;
  if (Array.isArray(shown) && Array.isArray(answered)) {
    return shown.length === 0 || answered.length === 0 ? undefined : shapeFault(shown[0], answered[0], `${path}[0]`);
  }
  if (typeof shown !== "object") return undefined;
  const page = shown as Readonly<Record<string, unknown>>;
  const answer = answered as Readonly<Record<string, unknown>>;
  for (const field of new Set([...Object.keys(page), ...Object.keys(answer)])) {
    if (!(field in page)) return `${path}.${field} is not in the page`;
    if (!(field in answer)) return `${path}.${field} is not in the answer`;
    const fault = shapeFault(page[field], answer[field], `${path}.${field}`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function kindOf(value: unknown): string {
  return Array.isArray(value) ? "list" : typeof value;
}
