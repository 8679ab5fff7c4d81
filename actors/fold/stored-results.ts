/**
 * Journal entries of which large outputs stand beside the log: results, and redrives of results. Where such an entry would
 * have `"output":…` it has `"stored":{"sha256","bytes","at"}`, and it stands on a subject of its own.
 *
 * No fold reads them so: whoever reads a log for one puts the outputs back first, and then the text is what it would have
 * been with all of them in it. Here is the pure half of that; nothing is fetched.
 */
import { RESULT_INLINE_MAX_BYTES, RESULT_MAX_BYTES, RESULTS_MAX, RESULTS_STORED_MAX_BYTES } from "./bounds.ts";

/** Which output it is. */
export interface StoredOutput {
  /** Of its JSON, as hex. */
  readonly sha256: string;
  /** Of its JSON in UTF-8. */
  readonly bytes: number;
  /** When it was stored, in milliseconds; a part of its name. */
  readonly at: number;
}

/** An entry whose large outputs are yet to be stored: their JSON, and the entry with what says which they are. */
export interface LargeOutputs {
  readonly outputs: readonly string[];
  readonly write: (stored: readonly StoredOutput[]) => string;
}

/** An entry whose outputs are yet to be put back, as JSON has them. */
export interface AwayOutputs {
  readonly stored: readonly StoredOutput[];
  readonly write: (outputs: readonly unknown[]) => string;
}

type Fields = Readonly<Record<string, unknown>>;

const SHA256 = /^[0-9a-f]{64}$/;

/** `undefined` when nothing of it is large, or it is no entry that has outputs. */
export function largeOutputs(text: string, bytesOf: (text: string) => number): LargeOutputs | undefined {
  const entry = fieldsOf(text);
  const carriers = entry === undefined ? undefined : carriersOf(entry);
  if (entry === undefined || carriers === undefined) return undefined;
  const texts = carriers.map(({ output }) => (output === undefined ? "" : JSON.stringify(output)));
  const large = texts.map((output) => bytesOf(output) > RESULT_INLINE_MAX_BYTES);
  if (!large.includes(true)) return undefined;
  return {
    outputs: texts.filter((_, i) => large[i]),
    write: (stored) => written(entry, carriers, large, "output", "stored", stored),
  };
}

/** `undefined` when none is away, or it names them as no Tidemark does: then no fold takes it. */
export function awayOutputs(text: string): AwayOutputs | undefined {
  const entry = fieldsOf(text);
  const carriers = entry === undefined ? undefined : carriersOf(entry);
  if (entry === undefined || carriers === undefined) return undefined;
  const away = carriers.map(({ stored }) => stored !== undefined);
  const stored: StoredOutput[] = [];
  let bytes = 0;
  for (const [i, carrier] of carriers.entries()) {
    if (!away[i]) continue;
    const one = readStored(carrier);
    if (one === undefined) return undefined;
    stored.push(one);
    bytes += one.bytes;
  }
  if (stored.length === 0 || bytes > RESULTS_STORED_MAX_BYTES) return undefined;
  return { stored, write: (outputs) => written(entry, carriers, away, "stored", "output", outputs) };
}

function fieldsOf(text: string): Fields | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What of an entry may have an output. */
function carriersOf(entry: Fields): readonly Fields[] | undefined {
  if (entry.kind === "redrive") return [entry];
  const { kind, results } = entry;
  if (kind !== "result" || !Array.isArray(results) || results.length > RESULTS_MAX) return undefined;
  return results.every(isFields) ? (results as readonly Fields[]) : undefined;
}

function readStored({ stored, output, failed }: Fields): StoredOutput | undefined {
  if (output !== undefined || failed !== undefined || !isFields(stored)) return undefined;
  const { sha256, bytes, at } = stored;
  if (typeof sha256 !== "string" || !SHA256.test(sha256) || !isCount(bytes) || bytes > RESULT_MAX_BYTES || !isCount(at)) return undefined;
  return { sha256, bytes, at };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** The field `to` stands where `from` stood, so that there and back is the same text. */
function written(
  entry: Fields,
  carriers: readonly Fields[],
  which: readonly boolean[],
  from: string,
  to: string,
  values: readonly unknown[],
): string {
  let next = 0;
  const replaced = carriers.map((carrier, i) => {
    if (!which[i]) return carrier;
    const value = values[next++];
    return Object.fromEntries(Object.entries(carrier).map(([name, is]) => (name === from ? [to, value] : [name, is])));
  });
  return JSON.stringify(entry.kind === "redrive" ? replaced[0] : { ...entry, results: replaced });
}
