/**
 * Records what this version of Tidemark makes of the jobs that ship, and of the job in which everything meets:
 *
 *     node test/recorded/record.ts
 *
 * Run with a release; it writes `test/recorded/<version>/` and refuses to touch a version that is there. See README.md.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { writeEpoch } from "../../actors/fold/journal.ts";
import { type CodeIdentity, STATE_FORMAT } from "../../actors/fold/meta.ts";
import type { Job } from "../../actors/model/job.ts";
import { parseInstant } from "../../actors/model/time.ts";
import { SAMPLES, type Sample } from "../../actors/samples.ts";
import jobs from "../../actors/shipped.ts";
import { ownCode, pathFrom } from "../../runtime/app.ts";
import { PACKAGE_ROOT, TIDEMARK_VERSION } from "../../runtime/own-package.ts";
import { TestLog } from "../support/entries.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { foldParts, type RecordedPart, writeHistory } from "./history-file.ts";

const EVENTS = 300;
const EVERYTHING = { histories: 8, seed: 20_260_101 };

type Part = Omit<RecordedPart, "stateHash" | "last">;

const folder = join(dirname(fileURLToPath(import.meta.url)), TIDEMARK_VERSION);
if (existsSync(folder)) throw new Error(`${folder} is there: what a released version has folded never changes.`);
mkdirSync(folder);

for (const sample of SAMPLES) {
  const job = jobs.find(({ name }) => name === sample.log)!;
  const part = (node: string): Part => ({ module: `actors/${job.name}/${job.name}.ts`, identity: identity(job, node) });
  save(job.name, logOf(sample, job), [part("24.0.0"), part("24.1.0")], [job, job]);
}
const both = [everythingJob(1), everythingJob(2)];
for (const [i, log] of fc.sample(anEverythingHistory, { numRuns: EVERYTHING.histories, seed: EVERYTHING.seed }).entries()) {
  const parts = both.map((job, build): Part => {
    const make = { name: "everythingJob", argument: build + 1 };
    return { module: "test/support/everything-app.ts", make, identity: identity(job, "24.0.0") };
  });
  save(`everything-${i + 1}`, log, parts, both);
}

/** Hands over from one part to the next in the middle. */
function save(name: string, log: TestLog, parts: readonly Part[], jobs: readonly Job[]): void {
  const [before, after] = parts as readonly [Part, Part];
  const middle = Math.ceil(log.entries.length / 2);
  const at = log.entries[middle - 1]!;
  const epoch: LogEntry = {
    sequence: middle + 1,
    logTime: at.logTime,
    subject: `${log.log}.p0.j.${jobs[0]!.name}.epoch`,
    headers: undefined,
    payload: Buffer.from(writeEpoch(after.identity, 0, undefined)),
  };
  const behind = log.entries.slice(middle).map((entry) => ({ ...entry, sequence: entry.sequence + 1 }));
  const entries = [...log.entries.slice(0, middle), epoch, ...behind];
  const bounded = [
    { ...before, last: epoch.sequence },
    { ...after, last: entries.at(-1)!.sequence },
  ];
  const folded = foldParts({ parts: bounded, entries }, jobs);
  const history = {
    stateFormat: STATE_FORMAT,
    parts: bounded.map((part, i) => ({ ...part, stateHash: folded[i]!.stateHash })),
    modules: modulesOf(before.module),
    entries,
    outputs: folded.flatMap(({ outputs }) => outputs),
  };
  const bytes = writeHistory(history);
  writeFileSync(join(folder, `${name}.ndjson.gz`), bytes);
  process.stdout.write(`${name}: ${entries.length} entries, ${history.outputs.length} outputs, ${bytes.length} bytes\n`);
}

function identity(job: Job, node: string): CodeIdentity {
  const recorded = { codeHash: "recorded", tidemark: TIDEMARK_VERSION, icu: "recorded", tz: "recorded" };
  return { version: job.version, settings: job.settings, node, ...recorded };
}

/** The first events of the sample, behind all its reference records, and the watermark that ends it. */
function logOf({ log: name, reference, file, beyondMs }: Sample, job: Job): TestLog {
  const lines = readFileSync(file, "utf8").split("\n").slice(0, EVENTS);
  const events = lines.flatMap((line) => eventIn(line));
  const log = new TestLog(name, Math.min(...events.map(({ time }) => time)));
  for (const { table, file: records } of reference) {
    for (const line of readFileSync(records, "utf8").split("\n")) if (line !== "") log.reference(table.name, line);
  }
  log.raw(`${name}.p0.j.${job.name}`, JSON.stringify({ kind: "owner", token: "recorded", node: "recorded" }));
  for (const { key, time, text } of events) log.raw(log.subject(key), text, Math.max(0, time - log.logTime));
  log.tick(60_000);
  log.watermark(Math.max(...events.map(({ time }) => time)) + beyondMs);
  return log;
}

function eventIn(text: string): { readonly key: string; readonly time: number; readonly text: string }[] {
  try {
    const { subject, time } = JSON.parse(text) as { readonly subject?: string; readonly time?: string };
    const at = time === undefined ? undefined : parseInstant(time);
    return subject === undefined || at === undefined ? [] : [{ key: subject, time: at, text }];
  } catch {
    return [];
  }
}

/** The module and those of the app that it imports, by path; Tidemark's own code is not recorded: it is what is held against them. */
function modulesOf(entry: string): Record<string, string> {
  const own = ownCode().map((path) => pathFrom(PACKAGE_ROOT, path));
  const found: Record<string, string> = {};
  const waiting = [entry];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (found[path] !== undefined || own.some((name) => path === name || path!.startsWith(`${name}/`))) continue;
    const text = readFileSync(join(PACKAGE_ROOT, path), "utf8");
    found[path] = text;
    for (const [, specifier] of text.matchAll(/\bfrom "(\.[^"]+)"/g))
      waiting.push(relative(PACKAGE_ROOT, join(PACKAGE_ROOT, dirname(path), specifier!)));
  }
  return found;
}
