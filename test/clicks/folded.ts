/** Folds lines of clicks in memory, and says where the outputs are not those of the oracle. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import clicks from "../../actors/clicks/clicks.ts";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { foldHistory, type Interruptions } from "../../runtime/replay/fold-history.ts";
import { type ReadOutput, readOutputs, TestLog } from "../support/entries.ts";
import type { Line as OracleLine, Told } from "./oracle/platform.ts";
import { outputsOf, type PairsVersion } from "./oracle.ts";

export type Line = { readonly key: string; readonly text: string; readonly time: number } | { readonly watermark: number };

export interface FoldedClicks {
  /** By partition. */
  readonly lines: readonly (readonly OracleLine[])[];
  readonly outputs: readonly (readonly ReadOutput[])[];
  readonly stateHashes: readonly string[];
  /** Reference entries before the first line. */
  readonly reference: readonly PairsVersion[];
}

/** The records that ship. */
export const SHIPPED: readonly PairsVersion[] = readFileSync(
  new URL("../../actors/clicks/reference/cross-sell.ndjson", import.meta.url),
  "utf8",
)
  .trimEnd()
  .split("\n")
  .map((line) => {
    const { version, effectiveFrom, data } = JSON.parse(line) as { version: number; effectiveFrom: string; data: PairsVersion };
    return { version, effectiveFrom: Date.parse(effectiveFrom), pairs: data.pairs };
  });

interface FoldOptions {
  readonly partitions?: number;
  readonly reference?: readonly PairsVersion[];
  readonly beyondMs?: number;
  readonly interruptions?: Interruptions;
}

/** The log's clock stands still at the end of the lines: no idle log follows it, and nothing is too far ahead. */
export function foldClicks(
  all: readonly Line[],
  { partitions = 1, reference = SHIPPED, beyondMs = 86_400_000, interruptions = {} }: FoldOptions = {},
): FoldedClicks {
  const end = Math.max(...all.map((line) => ("watermark" in line ? line.watermark : line.time))) + beyondMs;
  const folded = Array.from({ length: partitions }, (_, partition) => {
    const log = new TestLog("clicks", end);
    for (const { version, effectiveFrom, pairs } of reference)
      log.reference("cross-sell", { id: "pairs", version, from: effectiveFrom, data: { pairs } });
    const lines = [...all.filter((line) => "watermark" in line || partitionOf(line.key, partitions) === partition), { watermark: end }];
    for (const line of lines) {
      if ("watermark" in line) log.watermark(line.watermark);
      else log.raw(log.subject(line.key), line.text);
    }
    const entries = log.entries.map((entry) => ({ ...entry, subject: entry.subject.replace("clicks.p0.", `clicks.p${partition}.`) }));
    return { lines, ...foldHistory({ ...log.history(clicks), partition, partitions, entries }, interruptions) };
  });
  return {
    lines: folded.map(({ lines }) => lines),
    outputs: folded.map(({ outputs }) => readOutputs(outputs)),
    stateHashes: folded.map(({ stateHash }) => stateHash),
    reference,
  };
}

/** Every output of every partition is the oracle's, in its order. */
export function assertAgrees({ lines, outputs, reference }: FoldedClicks): void {
  for (const [partition, own] of lines.entries()) {
    const expected = outputsOf(own, reference);
    const found = outputs[partition]!.map((output) => toldOf(output, reference.length));
    for (const [i, one] of expected.entries()) assert.deepEqual(near(found[i], one), one, `output ${i} of partition ${partition}`);
    assert.deepEqual(found.slice(expected.length), [], `more than expected in partition ${partition}`);
  }
}

export function lineOf(text: string): Line {
  const subject = /"subject":"([^"]+)"/.exec(text)?.[1] ?? "sample";
  const time = /"time":"([^"]+)"/.exec(text)?.[1];
  return { key: subject, text, time: time === undefined ? 0 : Date.parse(time) };
}

function partitionOf(key: string, partitions: number): number {
  return slotOf(writeKey(key)!) % partitions;
}

/** An output as far as the oracle says what it is. `before`: entries before the first line. */
function toldOf({ type, subject, time, causeid, data }: ReadOutput, before: number): Told {
  const nthOf = (position: unknown): number => Number(/:(\d+)\./.exec(String(position))![1]) - 1 - before;
  if (type === "tidemark.quarantine") return { type, data: { code: data.code, nth: nthOf(data.position) } };
  if (type === "tidemark.duplicate-conflict") return { type, data: { eventId: data.eventId, firstNth: nthOf(data.firstPosition) } };
  if (type === "tidemark.late") return { type, subject: subject!, data: { eventId: data.eventId, reason: data.reason } };
  return { type, subject: subject!, time: Date.parse(time), causeid: causeid!, data };
}

/** What was found, with scores that are a millionth off read as those that were expected: both were rounded. */
function near(found: Told | undefined, expected: Told): Told | undefined {
  const scores = found?.data.scores as Record<string, number> | undefined;
  const wanted = expected.data.scores as Record<string, number> | undefined;
  if (found === undefined || scores === undefined || wanted === undefined) return found;
  const read = Object.fromEntries(
    Object.entries(scores).map(([name, score]) => [name, Math.abs(score - (wanted[name] ?? 0)) < 1.5e-6 ? (wanted[name] ?? score) : score]),
  );
  return { ...found, data: { ...found.data, scores: read } };
}
