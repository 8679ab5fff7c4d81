/** Builds log entries for tests of the fold: what a partition would hold, without a server. */
import type { LogEntry } from "../../actors/fold/entry.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
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
  readonly data: Record<string, unknown>;
}

export function readOutputs(outputs: readonly { readonly payload: Uint8Array }[]): ReadOutput[] {
  return outputs.map((output) => JSON.parse(Buffer.from(output.payload).toString()) as ReadOutput);
}
