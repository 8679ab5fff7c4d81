/**
 * The fold by itself over entries in memory, rows in the in-memory store, a commit every 50,000 events.
 * Not measured: the broker, reading, publishing outputs, LMDB.
 */
import type { LogEntry } from "../actors/fold/entry.ts";
import { Fold } from "../actors/fold/fold.ts";
import { newMeta } from "../actors/fold/meta.ts";
import type { Job } from "../actors/model/job.ts";
import { slotOf } from "../actors/model/key.ts";
import { identityOf } from "../runtime/app.ts";
import { primitives } from "../runtime/primitives.ts";
import { MemoryStore } from "../runtime/store/memory-store.ts";
import { counterJob } from "./apps/counter.ts";
import { readingOf } from "./readings.ts";
import type { Row } from "./table.ts";

export interface FoldOptions {
  readonly name: string;
  readonly events: number;
  readonly keys: number;
  readonly batch: number;
  /** Of event time between two events; default 1. */
  readonly stepMs?: number;
  /** Default true. */
  readonly timelineIndex?: boolean;
  /** Default: the counter. */
  readonly job?: Job;
}

const GROUP_EVENTS = 50_000;
const LOG_TIME = Date.UTC(2026, 5, 1);

export function foldAlone(options: FoldOptions): Row {
  const job = options.job ?? counterJob(100);
  const identity = identityOf(job, "bench");
  const store = new MemoryStore();
  const fold = new Fold({
    job,
    partition: 0,
    partitions: 1,
    committed: store,
    meta: newMeta({ ...identity, sequence: 0 }, 0, 1),
    primitives,
    guard: { enter() {}, leave() {} },
    identity,
    skips: new Map(),
    timelineIndex: options.timelineIndex ?? true,
  });
  const entries = entriesOf(options);
  const from = performance.now();
  let committing = 0;
  for (const [i, entry] of entries.entries()) {
    fold.open(entry);
    while (fold.unit());
    if (((i + 1) * options.batch) % GROUP_EVENTS !== 0 && i !== entries.length - 1) continue;
    const sealing = performance.now();
    fold.takeOutputs();
    const group = fold.seal();
    store.commit(group.changes, () => fold.committed());
    committing += performance.now() - sealing;
  }
  const ms = performance.now() - from;
  return {
    benchmark: options.name,
    "events/s": Math.round((options.events / ms) * 1000),
    "us/event": Math.round((ms / options.events) * 1e5) / 100,
    "of it seal and commit": Math.round((committing / options.events) * 1e5) / 100,
    outputs: fold.meta.outputs,
  };
}

function entriesOf({ events, keys, batch, stepMs }: FoldOptions): LogEntry[] {
  const entries: LogEntry[] = [];
  for (let i = 0; i < events; i += batch) {
    const readings = Array.from({ length: batch }, (_, j) => readingOf(i + j, keys, stepMs));
    const texts = readings.map(({ payload }) => Buffer.from(payload as Uint8Array).toString());
    const subject = batch === 1 ? `bench.${slotOf(readings[0]!.key)}.e.${readings[0]!.key}` : "bench.p0.b.1";
    const payload = Buffer.from(batch === 1 ? texts[0]! : `[${texts.join(",")}]`);
    entries.push({ sequence: entries.length + 1, logTime: LOG_TIME + i, subject, headers: undefined, payload });
  }
  return entries;
}
