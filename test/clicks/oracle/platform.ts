/**
 * What a shard does with a line before a job sees it, by docs/events-and-time.md, for a job with 30 seconds of
 * out-of-orderness, 5 minutes of allowed lateness and a dedupe horizon of 24 hours: which events are new, sound and in
 * time, and how far the watermark has come. Written for the oracle; shares no code with the runtime.
 */

/** A line as published under a key, or a watermark entry. */
export type Line = { readonly key: string; readonly text: string } | { readonly watermark: number };

/** An output, as far as the rules say what it is. */
export interface Told {
  readonly type: string;
  readonly subject?: string;
  readonly time?: number;
  readonly causeid?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface LogEvent {
  readonly nth: number;
  readonly key: string;
  readonly id: string;
  readonly time: number;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Parts {
  readonly schema: (data: Readonly<Record<string, unknown>>) => boolean;
  readonly tell: (output: Told) => void;
  readonly raised: (watermark: number) => void;
  readonly apply: (event: LogEvent) => void;
}

const TYPES = ["page_view", "product_view", "add_to_cart", "purchase"];
const OUT_OF_ORDERNESS = 30_000;
const ALLOWED_LATENESS = 5 * 60_000;
const HORIZON = 24 * 3_600_000;

export class Platform {
  readonly #parts: Parts;
  readonly #seen = new Map<string, { readonly content: string; readonly nth: number; readonly time: number }>();
  #watermark = Number.NEGATIVE_INFINITY;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** `nth`: how many lines came before it. */
  take(line: Line, nth: number): void {
    if ("watermark" in line) {
      this.#raise(line.watermark);
      return;
    }
    const read = readEvent(line, nth);
    if (typeof read === "string") this.#parts.tell({ type: "tidemark.quarantine", data: { code: read, nth } });
    else this.#take(read);
  }

  #take(event: LogEvent): void {
    const { nth, key, id, time, type, data } = event;
    const { tell, schema, apply } = this.#parts;
    const identity = JSON.stringify([key, id]);
    const content = sorted({ type, time, data });
    const before = this.#seen.get(identity);
    if (before !== undefined && before.time >= this.#watermark - HORIZON) {
      if (before.content !== content) tell({ type: "tidemark.duplicate-conflict", data: { eventId: id, firstNth: before.nth } });
      return;
    }
    if (!schema(data)) {
      tell({ type: "tidemark.quarantine", data: { code: "schema", nth } });
      return;
    }
    if (time < this.#watermark - HORIZON) {
      tell({ type: "tidemark.late", subject: key, data: { eventId: id, reason: "undecidable" } });
      return;
    }
    this.#raise(time - OUT_OF_ORDERNESS);
    this.#seen.set(identity, { content, nth, time });
    if (time < this.#watermark - ALLOWED_LATENESS) tell({ type: "tidemark.late", subject: key, data: { eventId: id, reason: "late" } });
    else apply(event);
  }

  #raise(to: number): void {
    if (to <= this.#watermark) return;
    this.#watermark = to;
    this.#parts.raised(to);
  }
}

/** The event, or the code under which the line goes to quarantine. Of all that can be wrong with a line, what generators do. */
function readEvent({ key, text }: { readonly key: string; readonly text: string }, nth: number): LogEvent | string {
  let event: Record<string, unknown>;
  try {
    event = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return "not-json";
  }
  const { id, type, time, data } = event;
  if (typeof id !== "string" || typeof type !== "string" || typeof time !== "string") return "missing-attribute";
  if (!TYPES.includes(type)) return "unknown-type";
  return { nth, key, id, time: Date.parse(time), type, data: data as LogEvent["data"] };
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
