/** Entries of a log that pumps feed, as the pumps would have written them. */

import { Type } from "typebox";
import { PUMP_ERROR, type PumpLink, SOURCE_POSITION, type SourcePlace, writePumpLink } from "../../actors/fold/pump-entry.ts";
import { pumpSubject } from "../../actors/fold/subject.ts";
import type { Job, JobOptions } from "../../actors/model/job.ts";
import { repartition } from "../../actors/model/repartition.ts";
import { stream } from "../../actors/model/stream.ts";
import { cloudEvent, T0 } from "./entries.ts";
import { type RunEvent, runEvent, ScriptLog, scriptedJob } from "./scripted.ts";

/** An event of a source: its place there, and why it has no key. */
export interface PumpedRun extends RunEvent {
  readonly time?: number;
  readonly at: string;
  readonly error?: string;
}

export interface PumpText {
  readonly pump?: string;
  readonly source?: number;
  readonly of?: number;
  readonly next?: SourcePlace;
  readonly time?: number | undefined;
  readonly watermark?: number;
  readonly idle?: boolean;
}

export const SOURCE_STREAM = stream("script.run", { schema: Type.Unknown() });

/** The scripted job, fed by pumps of these names. */
export function fedJob(options: Partial<JobOptions> = {}, pumps: readonly string[] = ["src"]): Job {
  return scriptedJob({
    from: pumps.map((name) => repartition("src", { name, streams: [SOURCE_STREAM], key: ({ key }) => key })),
    ...options,
  });
}

export class PumpLog extends ScriptLog {
  #number = 0;

  /** One entry of a pump; events without an id get the next one. */
  pumped(events: readonly PumpedRun[], text: PumpText = {}, advance = 0): this {
    const times = events.map(({ time = T0 }) => time);
    const newest = times.length === 0 ? {} : { time: Math.max(...times) };
    const { pump = "src", source = 0, of = 1, next = { sequence: 1, index: 0 }, time, ...rest } = { ...newest, ...text };
    const link: PumpLink = { of, next, ...(time === undefined ? {} : { time }), ...rest };
    const payload = events.map(({ at, error, ...event }) => ({
      ...cloudEvent(runEvent({ id: `p${++this.#number}`, ...event })),
      [SOURCE_POSITION]: at,
      ...(error === undefined ? {} : { [PUMP_ERROR]: error, subject: undefined }),
    }));
    const subject = pumpSubject(this.log, 0, pump, source);
    return this.raw(subject, events.length === 0 ? "" : JSON.stringify(payload), advance, writePumpLink(link));
  }
}
