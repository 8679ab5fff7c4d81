/** Reads an output of the stream as an update of a feature. */
import type { LogEntry } from "../../actors/fold/entry.ts";
import type { Job } from "../../actors/model/job.ts";
import { formatInstant, parseInstant } from "../../actors/model/time.ts";
import { outputSubjectRoot } from "../outputs/output-layout.ts";
import { featureValue } from "./feature-entry.ts";
import { featureKey } from "./feature-key.ts";
import type { FeatureUpdate } from "./feature-writes.ts";

/** `undefined` for an output that is no feature, and for a message that the shard did not write. */
export function readUpdate(job: Job, shard: number, history: string, entry: LogEntry): FeatureUpdate | undefined {
  const { subject, sequence: k, payload, logTime } = entry;
  const root = outputSubjectRoot(job.name, shard).length + 1;
  const dot = subject.indexOf(".", root);
  const feature = job.features.get(subject.slice(dot + 1));
  if (feature === undefined) return undefined;
  const event = parsed(payload);
  const time = parseInstant(String(event?.time));
  const id = `${job.name}.${shard}.${k}`;
  if (event?.id !== id || time === undefined) return undefined;
  const by = feature.by === undefined ? "" : (event.data as Readonly<Record<string, unknown>> | null)?.[feature.by];
  return {
    key: featureKey(feature.name, subject.slice(root, dot)),
    feature,
    member: typeof by === "string" ? by : JSON.stringify(by ?? null),
    value: featureValue(feature, { value: event.data, time: formatInstant(time), id, k, history, storedAtMs: logTime }),
    bytes: payload.length + subject.length,
  };
}

function parsed(payload: Uint8Array): { readonly id?: unknown; readonly time?: unknown; readonly data?: unknown } | undefined {
  try {
    return JSON.parse(Buffer.from(payload).toString()) as ReturnType<typeof parsed>;
  } catch {
    return undefined;
  }
}
