/** A partition's history, replayed as a shadow without a server, and compared with outputs that are at hand. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NumberedOutput } from "../../actors/fold/output-writer.ts";
import { generationOf, type Job } from "../../actors/model/job.ts";
import { MemoryPartitionLog } from "../../runtime/log/memory-partition-log.ts";
import { OutputComparison } from "../../runtime/replay/output-comparison.ts";
import { OutputDiff, type OutputDifference } from "../../runtime/replay/output-diff.ts";
import { ShardReplay, type ShardReplayed, type ShardReplayParts } from "../../runtime/replay/shard-replay.ts";
import { installGuards } from "../../runtime/shard/guards.ts";
import { identityFor, type TestLog } from "./entries.ts";

const PAGE = 4;

export async function memoryLogOf(log: TestLog): Promise<MemoryPartitionLog> {
  const memory = new MemoryPartitionLog({ stream: `${log.log}-0` });
  for (const { logTime, subject, payload, headers } of log.entries) {
    memory.now = logTime;
    await memory.append(subject, payload, headers === undefined ? {} : { headers });
  }
  return memory;
}

export interface ReplayedPartition extends ShardReplayed {
  readonly differences: readonly OutputDifference[];
}

/** `published`: what a comparison reads, in small pages. `job`: the build that replays. */
export async function replayPartition(
  log: TestLog,
  job: Job,
  published: readonly NumberedOutput[],
  parts: Partial<ShardReplayParts> = {},
): Promise<ReplayedPartition> {
  const memory = await memoryLogOf(log);
  const folder = mkdtempSync(join(tmpdir(), "tidemark-replayed-"));
  const differences: OutputDifference[] = [];
  const diff = new OutputDiff({ partition: 0, ignoreVersion: true, ignorePosition: false, onDifference: (one) => differences.push(one) });
  try {
    const replayed = await new ShardReplay({
      job: generationOf(job, "shadow"),
      partition: 0,
      partitions: 1,
      identity: identityFor(job),
      guard: installGuards(),
      source: { stream: memory.stream, firstSequence: 1, read: (from) => memory.read(from) },
      historyFrom: 1,
      restore: undefined,
      silent: () => undefined,
      end: { last: memory.lastSequence },
      skips: new Map(),
      outputs: undefined,
      models: undefined,
      compare: async (from, readUpTo) => new OutputComparison({ diff, published: pagesOf(published, from), readUpTo, graceMs: 0 }),
      folder,
      notice: () => {},
      ...parts,
    }).run();
    return { ...replayed, differences };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function pagesOf(published: readonly NumberedOutput[], from: number) {
  let at = published.findIndex(({ payload }) => sequenceOf(payload) >= from);
  if (at === -1) at = published.length;
  return {
    trimmedTo: undefined,
    async next() {
      const page = published.slice(at, at + PAGE);
      at += page.length;
      return page;
    },
  };
}

export function sequenceOf(payload: Uint8Array): number {
  const { position } = JSON.parse(Buffer.from(payload).toString()) as { readonly position: string };
  return Number(/:(\d+)/.exec(position)![1]);
}
