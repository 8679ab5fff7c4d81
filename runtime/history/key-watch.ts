/** Watches a fold for one key, and notes each unit that concerns it as an item. It notes, and never acts. */
import { type CallRecord, callId } from "../../actors/fold/call-row.ts";
import type { CallWatch } from "../../actors/fold/call-table.ts";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { readItems } from "../../actors/fold/envelope.ts";
import type {
  FoldObserver,
  SeenEvent,
  SeenExpiry,
  SeenOutput,
  SeenRecord,
  SeenRedrive,
  SeenResult,
  SeenTimer,
} from "../../actors/fold/fold-observer.ts";
import type { Meta } from "../../actors/fold/meta.ts";
import { primitives } from "../primitives.ts";
import type { ItemCall, ItemOf, ItemOutput, KeyItem } from "./key-item.ts";

/** What a watch has noted of a key, for the one that goes on behind it in another thread. */
export interface WatchNotes {
  readonly records: readonly NotedRecord[];
  readonly waiting: readonly (readonly [string, CallRecord])[];
  readonly deadLetters: readonly string[];
}

export interface WatchedKey {
  readonly job: string;
  readonly partition: number;
  readonly token: string;
}

/** The fold that is watched. */
export interface WatchedFold {
  readonly meta: Meta;
  readonly entry: LogEntry | undefined;
}

/** A version of a reference record, and the entry that brought it. */
export interface NotedRecord extends SeenRecord {
  readonly sequence: number;
}

const DEAD_LETTER = "tidemark.dead-letter";
const HANDLER = /^[a-z][a-z0-9-]*\.[^|]+(?=\|)/;
/** Beyond it the oldest are let go: an explanation then names fewer of them. */
const RECORDS_MAX = 100_000;

export class KeyWatch implements FoldObserver, CallWatch {
  readonly #key: WatchedKey;
  /** Set once the fold is there: it is built with this watch. */
  fold: WatchedFold | undefined;
  /** Taken out by whoever reads them. */
  readonly items: KeyItem[] = [];
  readonly records: NotedRecord[] = [];
  #outputs: ItemOutput[] = [];
  #lookups: string[] = [];
  /** Asked for by the unit in hand, by the row. */
  readonly #asked = new Map<string, CallRecord>();
  /** Calls of the key that wait, in the order in which they were asked for. */
  readonly #waiting: Map<string, CallRecord> = new Map();
  /** Ids of the key's dead letters, in order. */
  readonly #deadLetters: string[] = [];

  constructor(key: WatchedKey, before?: WatchNotes) {
    this.#key = key;
    if (before === undefined) return;
    this.records = [...before.records];
    this.#waiting = new Map(before.waiting);
    this.#deadLetters = [...before.deadLetters];
  }

  /** Between two units. */
  get notes(): WatchNotes {
    return { records: this.records, waiting: [...this.#waiting], deadLetters: this.#deadLetters };
  }

  event({ token, index, watermark, released, ...event }: SeenEvent): void {
    if (token !== this.#key.token) return;
    const content = released === undefined ? { content: this.#content(index) } : { released: true as const, content: released };
    this.#add({ kind: "event", event: { ...event, ...content } }, watermark);
  }

  timer({ token, ...timer }: SeenTimer): void {
    if (token === this.#key.token) this.#add({ kind: "timer", ...timer }, this.fold!.meta.watermark);
  }

  expiry({ token, actor, cell, entry }: SeenExpiry): void {
    if (token === this.#key.token) this.#add({ kind: "expiry", actor, cell, entry }, this.fold!.meta.watermark);
  }

  result({ token, actor, effect, call, outcome, done, watermark }: SeenResult): void {
    if (token !== this.#key.token) return;
    const waiting = this.#answered(actor, call);
    this.#add({ kind: "result", actor, effect, call, waiting, outcome, done }, watermark);
  }

  redrive({ token, deadLetter, handler, outcome }: SeenRedrive): void {
    if (token !== this.#key.token) return;
    const number = this.#deadLetters.indexOf(deadLetter);
    const entry = JSON.parse(primitives.decodeUtf8(this.fold!.entry!.payload)!) as unknown;
    this.#add({ kind: "redrive", deadLetter, handler, outcome, number, entry }, this.fold!.meta.watermark);
  }

  output({ k, token, type, unit }: SeenOutput): void {
    if (token !== this.#key.token) return;
    this.#outputs.push({ k, type, handler: HANDLER.exec(unit)?.[0] });
    if (type === DEAD_LETTER) this.#deadLetters.push(`${this.#key.job}.${this.#key.partition}.${k}`);
  }

  lookups(token: string, lookups: string): void {
    if (token === this.#key.token) this.#lookups.push(...lookups.split(" "));
  }

  record(record: SeenRecord): void {
    if (this.records.length === RECORDS_MAX) this.records.shift();
    this.records.push({ ...record, sequence: this.fold!.meta.last.sequence });
  }

  asked(row: string, call: CallRecord): void {
    if (call.token === this.#key.token) this.#asked.set(row, call);
  }

  closed(row: string): void {
    this.#asked.delete(row);
  }

  #answered(actor: string, call: string): number {
    const { job, partition } = this.#key;
    let at = 0;
    for (const [row, waiting] of this.#waiting) {
      if (waiting.actor !== actor) continue;
      if (callId(job, partition, waiting) === call) {
        this.#waiting.delete(row);
        return at;
      }
      at++;
    }
    return -1;
  }

  #add(item: ItemOf, watermark: number | undefined): void {
    const { job, partition } = this.#key;
    const { meta, entry } = this.fold!;
    const { sequence, index } = meta.last;
    const calls: ItemCall[] = [];
    for (const [row, call] of this.#asked) {
      this.#waiting.set(row, call);
      calls.push({ id: callId(job, partition, call), effect: call.effect, input: JSON.parse(call.input) as unknown });
    }
    const place = { sequence, index, logTime: entry?.logTime ?? meta.processingTime, watermark, processingTime: meta.processingTime };
    this.items.push({ ...item, ...place, outputs: this.#outputs, calls, lookups: [...new Set(this.#lookups)], changes: undefined });
    this.#outputs = [];
    this.#lookups = [];
    this.#asked.clear();
  }

  #content(index: number): unknown {
    const { entry } = this.fold!;
    if (entry === undefined) return undefined;
    const item = readItems(entry, primitives)[index];
    return item === undefined || "refused" in item ? undefined : item.value;
  }
}
