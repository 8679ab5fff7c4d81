/** Folds lines of conversations in memory, and has the plain script say what should come of them. */
import { readFileSync } from "node:fs";
import conversations from "../../actors/conversations/conversations.ts";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { parseInstant } from "../../actors/model/time.ts";
import { foldHistory, type Interruptions } from "../../runtime/replay/fold-history.ts";
import { type ReadOutput, readOutputs, TestLog } from "../support/entries.ts";
import { type PlainContexts, type PlainRecord, plainConversations } from "./plain-conversations.ts";

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
  readonly plain: PlainContexts;
}

export interface Judging {
  readonly partitions?: number;
  readonly records?: readonly PlainRecord[];
  readonly interruptions?: Interruptions;
}

const BEYOND_MS = 2 * 86_400_000;

export const RECORDS: readonly PlainRecord[] = linesOf("reference/conversation.ndjson").map((text) => JSON.parse(text) as PlainRecord);

export function sampleLines(): Line[] {
  return linesOf("sample.ndjson").map((text) => {
    const [, key = "sample"] = /"subject":"([^"]+)"/.exec(text) ?? [];
    return { key, text, time: parseInstant(/"time":"([^"]+)"/.exec(text)?.[1] ?? "") ?? 0 };
  });
}

/** The log's clock stands still behind all lines. Each partition ends with a watermark two days behind the latest time. */
export function judge(
  lines: readonly (Line | number)[],
  { partitions = 1, records = RECORDS, interruptions = {} }: Judging = {},
): Judged[] {
  const end = Math.max(...lines.map((line) => (typeof line === "number" ? line : line.time))) + BEYOND_MS;
  return Array.from({ length: partitions }, (_, partition) => {
    const log = new TestLog("conversations", end);
    for (const { id, version, effectiveFrom, data } of records)
      log.reference("conversation", { id, version, from: parseInstant(effectiveFrom)!, data });
    const own = lines.filter((line) => typeof line === "number" || slotOf(writeKey(line.key)!) % partitions === partition);
    for (const line of own) {
      if (typeof line === "number") log.watermark(line);
      else log.raw(log.subject(line.key), line.text);
    }
    log.watermark(end);
    const entries = log.entries.map((entry) => ({ ...entry, subject: entry.subject.replace(".p0.", `.p${partition}.`) }));
    const folded = foldHistory({ ...log.history(conversations), partition, partitions, entries }, interruptions);
    const plain = plainConversations([...own.map((line) => (typeof line === "number" ? line : line.text)), end], records);
    return { outputs: readOutputs(folded.outputs), stateHash: folded.stateHash, plain };
  });
}

/** What one has and the other has not, by key in their order; nothing where the job and the script agree. */
export function differencesOf({ outputs, plain }: Judged): string[] {
  const told = outputs.filter(({ type }) => type === "conversation.context-ready");
  const contexts = told.map(({ subject, time, data }) => textOf(subject!, Date.parse(time), data));
  const rejected = outputs.filter(({ type }) => type === "tidemark.quality").map(({ subject, data }) => `${subject} ${data.eventId}`);
  const side = outputs.filter(({ type }) => type.startsWith("tidemark.") && type !== "tidemark.quality").map(sideText);
  return [
    ...compared(byKey(contexts), byKey(plain.contexts.map(({ key, time, data }) => textOf(key, time, data)))),
    ...compared(side, plain.sideOutputs),
    ...compared(rejected, plain.rejected),
  ];
}

function textOf(key: string, time: number, data: object): string {
  return `${key} ${new Date(time).toISOString()} ${JSON.stringify(data)}`;
}

/** By key; within one the order stays. */
function byKey(texts: readonly string[]): string[] {
  const key = (text: string): string => text.slice(0, text.indexOf(" "));
  return texts.toSorted((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}

function sideText({ type, causeid = "?", data }: ReadOutput): string {
  const what = type === "tidemark.duplicate-conflict" ? "" : ` ${data.code ?? data.reason}`;
  return `${type}${what} ${data.eventId ?? causeid}`;
}

function compared(job: readonly string[], plain: readonly string[]): string[] {
  const differences: string[] = [];
  for (let i = 0; i < Math.max(job.length, plain.length); i++)
    if (job[i] !== plain[i]) differences.push(`job:   ${job[i]}\nplain: ${plain[i]}`);
  return differences;
}

function linesOf(file: string): string[] {
  const text = readFileSync(new URL(`../../actors/conversations/${file}`, import.meta.url), "utf8");
  return text.split("\n").filter((line) => line !== "");
}
