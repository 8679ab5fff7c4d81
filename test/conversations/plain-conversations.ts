/**
 * What the job `conversations` should say of the lines of one partition, from the rules of actors/conversations/README.md
 * alone. Every message is kept, and each context is looked up in all of them.
 */
import { type PlainEvent, type PlainLine, plainShard } from "../support/plain-shard.ts";

export interface PlainContext {
  readonly key: string;
  /** Event time of the output. */
  readonly time: number;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface PlainContexts {
  readonly contexts: readonly PlainContext[];
  readonly sideOutputs: readonly string[];
  /** Messages of finished contexts that were rejected: key and id. */
  readonly rejected: readonly string[];
}

type Late = "next" | "reopen" | "reject";

/** A version of a record of the table `conversation`. */
export interface PlainRecord {
  readonly id: string;
  readonly version: number;
  readonly effectiveFrom: string;
  readonly data: { readonly messages?: number; readonly within?: string; readonly late?: Late } | null;
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: MINUTE, h: 60 * MINUTE };
const TIMES = { outOfOrdernessMs: 2_000, allowedLatenessMs: MINUTE, dedupeHorizonMs: DAY };

interface Talk {
  waiting: PlainEvent[];
  /** Taken, by time. */
  said: PlainEvent[];
  /** Of those how many no context was made of. */
  open: number;
  due: number | undefined;
  /** Greatest time of a context. */
  finished: number;
}

export function plainConversations(lines: readonly PlainLine[], records: readonly PlainRecord[]): PlainContexts {
  const { moments, sideOutputs } = plainShard(lines, { ...TIMES, fits, refusal });
  const contexts: PlainContext[] = [];
  const rejected: string[] = [];
  const talks = new Map<string, Talk>();
  const tell = (key: string, talk: Talk, reason: string, time: number): void => {
    talk.open = 0;
    talk.due = undefined;
    talk.finished = Math.max(talk.finished, time);
    write(key, reason, time, lastOf(talk.said));
  };
  const write = (key: string, reason: string, time: number, said: readonly PlainEvent[]): void => {
    const { count } = settings(records, key, time);
    const messages = said.slice(-count).map(({ time: at, data: { role, text } }) => ({ role, text, at: new Date(at).toISOString() }));
    const revises = reason === "reopened" ? { revises: new Date(time).toISOString() } : {};
    contexts.push({ key, time, data: { conversationId: key, reason, ...revises, messages } });
  };
  const take = (key: string, talk: Talk, event: PlainEvent, passed: number): void => {
    const { count, withinMs, late } = settings(records, key, event.time);
    // Those that are not behind come with a watermark of which nothing is said.
    const isFinished = Number.isFinite(passed) && event.time <= talk.finished;
    if (isFinished && late === "reject") {
      rejected.push(`${key} ${event.id}`);
      return;
    }
    const place = talk.said.findIndex(({ time }) => time > event.time);
    talk.said.splice(place === -1 ? talk.said.length : place, 0, event);
    if (isFinished && late === "reopen") {
      const own = lastOf(talk.said).filter(({ time }) => time <= talk.finished);
      write(key, "reopened", talk.finished, own);
      return;
    }
    talk.open++;
    talk.due ??= event.time + withinMs;
    if (talk.open >= count) tell(key, talk, "count", event.time);
    else if (talk.due < passed) tell(key, talk, "time", talk.due);
  };
  for (const moment of moments) {
    if (moment.kind === "event") {
      const { event, watermark } = moment;
      const talk = talks.get(event.subject) ?? { waiting: [], said: [], open: 0, due: undefined, finished: Number.NEGATIVE_INFINITY };
      talks.set(event.subject, talk);
      if (event.time < watermark) take(event.subject, talk, event, watermark);
      else talk.waiting.push(event);
      continue;
    }
    for (const [key, talk] of talks) {
      for (;;) {
        const [next] = talk.waiting.toSorted((a, b) => a.time - b.time);
        const isDue = talk.due !== undefined && talk.due < moment.watermark;
        // A message of the very instant comes first.
        if (next !== undefined && next.time < moment.watermark && !(isDue && talk.due! < next.time)) {
          talk.waiting = talk.waiting.filter((other) => other !== next);
          take(key, talk, next, Number.NEGATIVE_INFINITY);
        } else if (isDue) tell(key, talk, "time", talk.due!);
        else break;
      }
    }
  }
  return { contexts, sideOutputs, rejected };
}

function fits({ type, data }: PlainEvent): boolean {
  const { conversationId, role, text } = data ?? {};
  if (type !== "message" || typeof conversationId !== "string" || typeof role !== "string" || typeof text !== "string") return false;
  return role.length >= 1 && role.length <= 64 && JSON.stringify(text).length <= 8_192;
}

function refusal({ subject, data }: PlainEvent): string | undefined {
  return subject === data.conversationId ? undefined : "conversation-mismatch";
}

/** The last thirty, of the day before the last. */
function lastOf(said: readonly PlainEvent[]): readonly PlainEvent[] {
  return said.filter(({ time }) => time >= said.at(-1)!.time - DAY).slice(-30);
}

function settings(
  records: readonly PlainRecord[],
  key: string,
  time: number,
): { readonly count: number; readonly withinMs: number; readonly late: string } {
  const inForce = (id: string) =>
    records
      .filter((record) => record.id === id && Date.parse(record.effectiveFrom) <= time)
      .sort((a, b) => Date.parse(a.effectiveFrom) - Date.parse(b.effectiveFrom) || a.version - b.version)
      .at(-1)?.data;
  const within = inForce(key)?.within ?? inForce("default")?.within ?? "5m";
  return {
    count: inForce(key)?.messages ?? inForce("default")?.messages ?? 10,
    late: inForce(key)?.late ?? inForce("default")?.late ?? "next",
    withinMs: Number.parseInt(within, 10) * UNITS[within.at(-1)!]!,
  };
}
