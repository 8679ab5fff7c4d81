/** Builds log entries for tests of the fold: what a partition would hold, without a server. */
import type { LogEntry } from "../../actors/fold/entry.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import { writeLink } from "../../actors/fold/reference-entry.ts";
import type { Job } from "../../actors/model/job.ts";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { formatInstant } from "../../actors/model/time.ts";
import type { History } from "../../runtime/replay/fold-history.ts";

export const T0 = Date.UTC(2026, 0, 15, 12);

export interface EventText {
  readonly id?: string;
  readonly source?: string;
  readonly type?: string;
  readonly key?: string;
  readonly time?: number;
  readonly data?: unknown;
  readonly [extension: string]: unknown;
}

/** One version of a record; `from` is its `effectiveFrom`. */
export interface ReferenceText {
  readonly id: string;
  readonly version: number;
  readonly from: number;
  readonly data: unknown;
}

export function cloudEvent({ id = "e1", source = "/test", type = "meter.reading", key = "d1", time = T0, data, ...rest }: EventText = {}) {
  return {
    specversion: "1.0",
    id,
    source,
    type,
    subject: key,
    time: formatInstant(time),
    data: data ?? { deviceId: key, value: 1 },
    ...rest,
  };
}

export function identityFor(job: Job): CodeIdentity {
  return { version: job.version, codeHash: "test", settings: job.settings, tidemark: "0", node: "24", icu: "0", tz: "0" };
}

/** Entries of one partition in order, with log times of their own. */
export class TestLog {
  readonly entries: LogEntry[] = [];
  readonly log: string;
  logTime: number;
  /** Sequence in the reference stream of the last copy. */
  #source = 0;

  constructor(log: string, logTime = T0) {
    this.log = log;
    this.logTime = logTime;
  }

  /** One event on its key's subject; `advance` moves the log's clock first. */
  event(event: EventText = {}, advance = 0): this {
    return this.raw(this.subject(event.key ?? "d1"), JSON.stringify(cloudEvent(event)), advance);
  }

  batch(events: readonly EventText[], advance = 0): this {
    return this.raw(`${this.log}.p0.b.1`, JSON.stringify(events.map(cloudEvent)), advance);
  }

  tick(advance = 0): this {
    return this.raw(`${this.log}.p0.j.other-job`, "", advance);
  }

  watermark(time: number): this {
    return this.raw(`${this.log}.p0.j._log`, JSON.stringify({ kind: "watermark", time: formatInstant(time) }));
  }

  /** A copy of a reference record; `source` and `previous` default to the next in order. */
  reference(table: string, record: ReferenceText | string, link: { source?: number; previous?: number } = {}, advance = 0): this {
    const source = link.source ?? this.#source + 1;
    const previous = link.previous ?? source - 1;
    this.#source = Math.max(this.#source, source);
    const payload = typeof record === "string" ? record : JSON.stringify({ ...record, effectiveFrom: formatInstant(record.from) });
    return this.raw(`${this.log}.p0.r.${table}`, payload, advance, writeLink({ source, previous }));
  }

  raw(subject: string, payload: string | Uint8Array, advance = 0, headers?: ReadonlyMap<string, string>): this {
    this.logTime += advance;
    this.entries.push({
      sequence: this.entries.length + 1,
      logTime: this.logTime,
      subject,
      headers,
      payload: typeof payload === "string" ? Buffer.from(payload) : payload,
    });
    return this;
  }

  subject(key: string): string {
    const token = writeKey(key)!;
    return `${this.log}.${slotOf(token)}.e.${token}`;
  }

  /** As the only partition of its log. */
  history(job: Job): History {
    return { job, partition: 0, partitions: 1, identity: identityFor(job), epochRoot: 0, from: 1, entries: this.entries };
  }
}

export interface ReadOutput {
  readonly id: string;
  readonly type: string;
  readonly subject?: string;
  readonly time: string;
  readonly causeid?: string;
  readonly position: string;
  readonly jobversion: number;
  readonly idempotencykey: string;
  readonly referenceversions?: string;
  readonly data: Record<string, unknown>;
}

export function readOutputs(outputs: readonly { readonly payload: Uint8Array }[]): ReadOutput[] {
  return outputs.map((output) => JSON.parse(Buffer.from(output.payload).toString()) as ReadOutput);
}
