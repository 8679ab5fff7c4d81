/** Folds lines of logins in memory with one of the two jobs, and has the plain script say what should come of them. */
import type { Job } from "../../actors/model/job.ts";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { foldHistory, type Interruptions } from "../../runtime/replay/fold-history.ts";
import { type ReadOutput, readOutputs, TestLog } from "../support/entries.ts";
import type { PlainLine } from "../support/plain-shard.ts";
import type { PlainAlert, PlainOutputs } from "./plain-logins.ts";

export interface Line {
  readonly key: string;
  readonly text: string;
  /** Event time, milliseconds; 0 where it has none. */
  readonly time: number;
}

/** Of one partition. */
export interface Judged {
  readonly outputs: readonly ReadOutput[];
  readonly stateHash: string;
  readonly plain: PlainOutputs;
}

export interface Judging {
  readonly partitions?: number;
  readonly beyondMs?: number;
  readonly interruptions?: Interruptions;
}

/** The log's clock stands still behind all lines. Each partition ends with a watermark `beyondMs` behind the latest time. */
export function judge(
  job: Job,
  plainOf: (lines: readonly PlainLine[]) => PlainOutputs,
  lines: readonly (Line | number)[],
  how: Judging = {},
): Judged[] {
  const { partitions = 1, beyondMs = 3_600_000, interruptions = {} } = how;
  const latest = Math.max(...lines.map((line) => (typeof line === "number" ? line : line.time)));
  return Array.from({ length: partitions }, (_, partition) => {
    const log = new TestLog(job.log, latest + beyondMs);
    const own = lines.filter((line) => typeof line === "number" || slotOf(writeKey(line.key)!) % partitions === partition);
    for (const line of own) {
      if (typeof line === "number") log.watermark(line);
      else log.raw(log.subject(line.key), line.text);
    }
    log.watermark(latest + beyondMs);
    const entries = log.entries.map((entry) => ({ ...entry, subject: entry.subject.replace(".p0.", `.p${partition}.`) }));
    const folded = foldHistory({ ...log.history(job), partition, partitions, entries }, interruptions);
    const plain = plainOf([...own.map((line) => (typeof line === "number" ? line : line.text)), latest + beyondMs]);
    return { outputs: readOutputs(folded.outputs), stateHash: folded.stateHash, plain };
  });
}

/** What one has and the other has not, by key in their order; nothing where the job and the script agree. */
export function differencesOf({ outputs, plain }: Judged): string[] {
  const told = outputs.filter(({ type }) => type.startsWith("alert."));
  const alerts = told.map(({ type, subject, time, causeid, data }) =>
    textOf({ type, key: subject!, time: Date.parse(time), cause: causeid!, data }),
  );
  const side = outputs.filter(({ type }) => type.startsWith("tidemark.")).map(sideText);
  return [...compared(byKey(alerts), byKey(plain.alerts.map(textOf))), ...compared(side.sort(), plain.sideOutputs.toSorted())];
}

function textOf({ type, key, time, cause, data }: PlainAlert): string {
  return `${key} ${type} ${new Date(time).toISOString()} by ${cause} ${JSON.stringify(data)}`;
}

/** By key; within one the order stays. */
function byKey(texts: readonly string[]): string[] {
  const key = (text: string): string => text.slice(0, text.indexOf(" "));
  return texts.toSorted((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}

function sideText({ type, causeid = "?", data }: ReadOutput): string {
  const what = type === "tidemark.duplicate-conflict" ? "" : ` ${data.code ?? data.reason ?? data.rule}`;
  return `${type}${what} ${data.eventId ?? causeid}`;
}

function compared(job: readonly string[], plain: readonly string[]): string[] {
  const differences: string[] = [];
  for (let i = 0; i < Math.max(job.length, plain.length); i++)
    if (job[i] !== plain[i]) differences.push(`job:   ${job[i]}\nplain: ${plain[i]}`);
  return differences;
}
