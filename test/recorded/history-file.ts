/**
 * A recorded history: the modules of an app as they were, the entries that its builds folded, and what that gave. NDJSON,
 * compressed. Written once by `record.ts`; what is read here is held against it for ever.
 */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import type { LogEntry } from "../../actors/fold/entry.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { NumberedOutput } from "../../actors/fold/output-writer.ts";
import type { Job } from "../../actors/model/job.ts";
import { ownCode, pathFrom } from "../../runtime/app.ts";
import { PACKAGE_ROOT } from "../../runtime/own-package.ts";
import { foldHistory, type Interruptions } from "../../runtime/replay/fold-history.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";

/** Its entries up to and including `last` were folded by one build. */
export interface RecordedPart {
  /** Of the module that makes the job: its default export, or what its export `make` gives for `argument`. */
  readonly module: string;
  readonly make?: { readonly name: string; readonly argument: number };
  readonly identity: CodeIdentity;
  readonly last: number;
  /** Behind it, laid out as `stateFormat` says. */
  readonly stateHash: string;
}

export interface RecordedHistory {
  readonly stateFormat: number;
  readonly parts: readonly RecordedPart[];
  /** By path from the repository's root. */
  readonly modules: Readonly<Record<string, string>>;
  readonly entries: readonly LogEntry[];
  readonly outputs: readonly RecordedOutput[];
}

export interface RecordedOutput {
  readonly subject: string;
  readonly chain: string;
  readonly payload: string;
}

export interface FoldedPart {
  readonly outputs: readonly RecordedOutput[];
  readonly stateHash: string;
}

type Line =
  | { readonly kind: "history"; readonly stateFormat: number; readonly parts: readonly RecordedPart[] }
  | { readonly kind: "module"; readonly path: string; readonly text: string }
  | {
      readonly kind: "entry";
      readonly sequence: number;
      readonly logTime: number;
      readonly subject: string;
      readonly headers?: readonly (readonly [string, string])[];
      /** base64 */
      readonly payload: string;
    }
  | ({ readonly kind: "output" } & RecordedOutput);

export function writeHistory({ stateFormat, parts, modules, entries, outputs }: RecordedHistory): Uint8Array {
  const lines: Line[] = [
    { kind: "history", stateFormat, parts },
    ...Object.entries(modules).map(([path, text]): Line => ({ kind: "module", path, text })),
    ...entries.map(({ sequence, logTime, subject, headers, payload }): Line => {
      const text = Buffer.from(payload).toString("base64");
      return { kind: "entry", sequence, logTime, subject, ...(headers === undefined ? {} : { headers: [...headers] }), payload: text };
    }),
    ...outputs.map((output): Line => ({ kind: "output", ...output })),
  ];
  return gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join(""), { level: 9 });
}

export function readHistory(bytes: Uint8Array): RecordedHistory {
  const modules: Record<string, string> = {};
  const entries: LogEntry[] = [];
  const outputs: RecordedOutput[] = [];
  const [head, ...rest] = gunzipSync(bytes)
    .toString()
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
  if (head?.kind !== "history") throw new Error("a recorded history begins with its head");
  for (const line of rest) {
    if (line.kind === "module") modules[line.path] = line.text;
    else if (line.kind === "output") outputs.push({ subject: line.subject, chain: line.chain, payload: line.payload });
    else if (line.kind === "entry") {
      const { sequence, logTime, subject, headers, payload } = line;
      entries.push({ sequence, logTime, subject, headers: headers && new Map(headers), payload: Buffer.from(payload, "base64") });
    }
  }
  return { stateFormat: head.stateFormat, parts: head.parts, modules, entries, outputs };
}

/** The jobs of its parts, of the modules as they were, on the model and the fold as they are. `folder`: empty. */
export async function jobsOf({ modules, parts }: Pick<RecordedHistory, "modules" | "parts">, folder: string): Promise<readonly Job[]> {
  for (const [path, text] of Object.entries(modules)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  for (const own of ownCode()) link(own, join(folder, pathFrom(PACKAGE_ROOT, own)));
  link(join(PACKAGE_ROOT, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const jobs: Job[] = [];
  for (const { module, make } of parts) {
    const exported = (await import(pathToFileURL(join(folder, module)).href)) as Readonly<Record<string, unknown>>;
    jobs.push(make === undefined ? (exported.default as Job) : (exported[make.name] as (argument: number) => Job)(make.argument));
  }
  return jobs;
}

function link(to: string, from: string): void {
  mkdirSync(dirname(from), { recursive: true });
  symlinkSync(to, from, "junction");
}

/** Each part by its own job, from the state that the one before has left. */
export function foldParts(
  { parts, entries }: { readonly parts: readonly Omit<RecordedPart, "stateHash">[]; readonly entries: readonly LogEntry[] },
  jobs: readonly Job[],
  interruptions: Interruptions = {},
): readonly FoldedPart[] {
  const store = new MemoryStore();
  return parts.map(({ identity, last }, i) => {
    const read = entries.filter(({ sequence }) => sequence <= last);
    const history = { job: jobs[i]!, partition: 0, partitions: 1, identity, epochRoot: 0, from: 1, entries: read, store };
    const { outputs, stateHash } = foldHistory(history, interruptions);
    return { outputs: outputs.map(recorded), stateHash };
  });
}

function recorded({ subject, chain, payload }: NumberedOutput): RecordedOutput {
  return { subject, chain, payload: Buffer.from(payload).toString() };
}
