/**
 * What a shard does with a log by the rules of docs/events-and-time.md, as far as the oracle needs them: what is
 * refused, what came before, what is too late, and how far the watermark has come at each event. Nothing is forgotten
 * here: a log in which an id comes again with another time more than a day later is none for this oracle.
 */
import { type Transaction, transactionOf } from "./transaction.ts";

/** One line of a partition, in its order, or a watermark entry. Log times are milliseconds. */
export type LogRow = { readonly text: string; readonly logTime: number } | { readonly watermark: number };

/** One version of a record, as it stands in the files. */
export interface TableRecord {
  readonly id: string;
  readonly version: number;
  readonly effectiveFrom: string;
  readonly data: unknown;
}

/** What the job is to publish. */
export interface Expected {
  /** Absent where no key is known. */
  readonly key: string | undefined;
  readonly type: string;
  readonly time: number | undefined;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What happens to customers, in order. */
export type Moment =
  | { readonly kind: "rise"; readonly from: number; readonly to: number }
  | { readonly kind: "transaction"; readonly transaction: Transaction; readonly watermark: number };

const OUT_OF_ORDERNESS_MS = 10_000;
const ALLOWED_LATENESS_MS = 300_000;
const DEDUPE_HORIZON_MS = 86_400_000;
const MAX_AHEAD_MS = 86_400_000;

/** Moments of one partition, and the side outputs that no customer has to do with. */
export function readLog(rows: readonly LogRow[]): { moments: Moment[]; side: Expected[] } {
  const moments: Moment[] = [];
  const side: Expected[] = [];
  const contents = new Map<string, string>();
  let watermark = Number.NEGATIVE_INFINITY;
  const rise = (to: number): void => {
    if (to <= watermark) return;
    moments.push({ kind: "rise", from: watermark, to });
    watermark = to;
  };
  const refuse = (code: string): void => {
    side.push({ key: undefined, type: "tidemark.quarantine", time: undefined, data: { code } });
  };
  for (const row of rows) {
    if ("watermark" in row) {
      rise(row.watermark);
      continue;
    }
    const read = envelopeOf(row.text);
    if (typeof read === "string") {
      refuse(read);
      continue;
    }
    const { key, id, time } = read;
    const identity = JSON.stringify([key, read.source, id]);
    const content = canonical([read.type, time, read.data]);
    const before = contents.get(identity);
    if (before !== undefined) {
      if (before !== content) side.push({ key, type: "tidemark.duplicate-conflict", time: undefined, data: { eventId: id } });
      continue;
    }
    const transaction = transactionOf(read);
    if (read.type !== "transaction") refuse("unknown-type");
    else if (transaction === undefined) refuse("schema");
    else if (time > row.logTime + MAX_AHEAD_MS) refuse("too-far-ahead");
    else {
      rise(time - OUT_OF_ORDERNESS_MS);
      const tooLate = time < watermark - DEDUPE_HORIZON_MS ? "undecidable" : time < watermark - ALLOWED_LATENESS_MS ? "late" : undefined;
      if (tooLate !== undefined) {
        contents.set(identity, content);
        side.push({ key, type: "tidemark.late", time, data: { eventId: id, reason: tooLate } });
      } else if (transaction.customerId !== key) refuse("customer-mismatch");
      else {
        contents.set(identity, content);
        moments.push({ kind: "transaction", transaction, watermark });
      }
    }
  }
  return { moments, side };
}

export interface Envelope {
  readonly key: string;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time: number;
  readonly data: unknown;
}

function envelopeOf(text: string): Envelope | string {
  let event: Record<string, unknown>;
  try {
    event = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return "not-json";
  }
  if (typeof event !== "object" || event === null || event.specversion !== "1.0") return "not-cloudevent";
  const { id, source, type, subject, time, data } = event;
  for (const needed of [id, source, type, time]) if (typeof needed !== "string" || needed === "") return "missing-attribute";
  const at = Date.parse(time as string);
  if (Number.isNaN(at)) return "bad-time";
  return { key: subject as string, id: id as string, source: source as string, type: type as string, time: at, data };
}

/** The same text for the same content, whatever the order of the fields. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
