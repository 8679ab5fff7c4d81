/** Every shipped job through a crash run, each with its sample: one node, killed again and again. */
import { readFileSync } from "node:fs";
import { besideEachOther } from "../../actors/model/job.ts";
import { SAMPLES } from "../../actors/samples.ts";
import shipped from "../../actors/shipped.ts";
import { putTable } from "../../api/cli/samples.ts";
import { type CrashScenario, PARTITIONS } from "./crash-run.ts";

interface Line {
  readonly log: string;
  readonly key: string;
  readonly text: string;
}

export const SHIPPED: CrashScenario<Line> = {
  app: new URL("../../actors/shipped.ts", import.meta.url).pathname,
  jobs: besideEachOther(shipped),
  lines: (_seed, events) => shuffledTogether(events),
  keyOf: ({ key }) => key,
  logOf: ({ log }) => log,
  payloadOf: ({ text }) => Buffer.from(text),
  endMs: Date.UTC(2027, 11, 31),
  before: async (nc) => {
    for (const { log, reference } of SAMPLES) for (const table of reference) await putTable(nc, log, table, PARTITIONS);
  },
};

/** The samples beside each other, each in its own order; at most so many lines in all. */
function shuffledTogether(events: number): Line[] {
  const samples = SAMPLES.map(({ log, file }) => ({ log, lines: readFileSync(file, "utf8").trimEnd().split("\n") }));
  const all = samples.flatMap(({ log, lines }) => lines.map((text, i) => ({ log, key: keyOf(text), text, at: i / lines.length })));
  return all.sort((a, b) => a.at - b.at).slice(0, events);
}

function keyOf(text: string): string {
  try {
    const { subject } = JSON.parse(text) as { readonly subject?: unknown };
    return typeof subject === "string" && subject !== "" ? subject : "sample";
  } catch {
    return "sample";
  }
}
