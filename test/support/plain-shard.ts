/**
 * What a shard makes of the lines of its log before any handler sees them, by the rules of docs/events-and-time.md, written
 * once more and plainly for the oracles of jobs: which events count, how far the watermark has come, and which side outputs
 * there are. The log's clock stands still and nothing is too far ahead.
 */

export interface PlainEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A line of the log, or a watermark entry, in milliseconds. */
export type PlainLine = string | number;

/** An event that reaches its handler, or how far the watermark has come; the latter always comes first. */
export type PlainMoment =
  | { readonly kind: "watermark"; readonly watermark: number }
  | { readonly kind: "event"; readonly event: PlainEvent; readonly watermark: number };

export interface PlainShardRules {
  readonly outOfOrdernessMs: number;
  readonly allowedLatenessMs: number;
  readonly dedupeHorizonMs: number;
  /** Whether the data fits the job's schema. */
  readonly fits: (event: PlainEvent) => boolean;
  /** The code with which the handler sends it to quarantine. */
  readonly refusal: (event: PlainEvent) => string | undefined;
}

export interface PlainShard {
  readonly moments: readonly PlainMoment[];
  /** `<type> <code or reason> <id of the event>`, in the order of the log. */
  readonly sideOutputs: readonly string[];
}

export function plainShard(lines: readonly PlainLine[], rules: PlainShardRules): PlainShard {
  const moments: PlainMoment[] = [];
  const sideOutputs: string[] = [];
  const seen = new Map<string, { readonly content: string; readonly time: number }>();
  let watermark = Number.NEGATIVE_INFINITY;
  const raise = (to: number): void => {
    if (to <= watermark) return;
    watermark = to;
    moments.push({ kind: "watermark", watermark });
  };
  for (const line of lines) {
    if (typeof line === "number") {
      raise(line);
      continue;
    }
    const event = readEvent(line);
    if ("code" in event) {
      sideOutputs.push(`tidemark.quarantine ${event.code} ${event.id}`);
      continue;
    }
    const name = JSON.stringify([event.subject, event.source, event.id]);
    const content = JSON.stringify([event.type, event.time, event.data]);
    const before = seen.get(name);
    if (before !== undefined && before.time >= watermark - rules.dedupeHorizonMs) {
      if (before.content !== content) sideOutputs.push(`tidemark.duplicate-conflict ${event.id}`);
      continue;
    }
    if (!rules.fits(event)) {
      sideOutputs.push(`tidemark.quarantine schema ${event.id}`);
      continue;
    }
    if (event.time < watermark - rules.dedupeHorizonMs) {
      sideOutputs.push(`tidemark.late undecidable ${event.id}`);
      continue;
    }
    raise(event.time - rules.outOfOrdernessMs);
    const isLate = event.time < watermark - rules.allowedLatenessMs;
    const code = isLate ? undefined : rules.refusal(event);
    if (code !== undefined) {
      sideOutputs.push(`tidemark.quarantine ${code} ${event.id}`);
      continue;
    }
    seen.set(name, { content, time: event.time });
    if (isLate) sideOutputs.push(`tidemark.late late ${event.id}`);
    else moments.push({ kind: "event", event, watermark });
  }
  return { moments, sideOutputs };
}

/** What waits until the watermark has passed its time, then comes in the order of times; what is behind comes at once. */
export class PlainOrder {
  #waiting: PlainEvent[] = [];

  /** Those whose turn an entry brings, in order. */
  at(moment: PlainMoment): { readonly event: PlainEvent; readonly behind: boolean }[] {
    if (moment.kind === "event") {
      if (moment.event.time < moment.watermark) return [{ event: moment.event, behind: true }];
      this.#waiting.push(moment.event);
      return [];
    }
    const passed = this.#waiting.filter(({ time }) => time < moment.watermark).sort((a, b) => a.time - b.time);
    this.#waiting = this.#waiting.filter(({ time }) => time >= moment.watermark);
    return passed.map((event) => ({ event, behind: false }));
  }
}

function readEvent(line: string): PlainEvent | { readonly code: string; readonly id: string } {
  let event: Record<string, unknown>;
  try {
    event = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return { code: "not-json", id: "?" };
  }
  const { id, source, type, subject, time, data } = event as Record<string, string>;
  if (id === undefined || source === undefined || type === undefined || time === undefined)
    return { code: "missing-attribute", id: id ?? "?" };
  return { id, source, type, subject: subject!, time: Date.parse(time), data: data as never };
}
