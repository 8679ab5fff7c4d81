/**
 * Entry of the reader thread: answers questions about actors from committed rows, in short reads of its own, so that
 * no question ever holds up a shard. It never writes a row.
 */
import { parentPort, workerData } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { keyRow, META_ROW } from "../../actors/fold/keys.ts";
import { type Meta, readMeta } from "../../actors/fold/meta.ts";
import type { Job } from "../../actors/model/job.ts";
import { SLOTS } from "../../actors/model/key.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { loadApp } from "../app.ts";
import { jobNamed } from "../generations/generation-record.ts";
import type { IndexPiece } from "../history/key-touches.ts";
import { openLmdbStore } from "../store/lmdb-store.ts";
import type { ShardStore } from "../store/shard-store.ts";
import { type Outcomes, outcomesOf } from "../threads/outcome.ts";
import type { QueryAnswer } from "./actor-query.ts";
import { ActorRows, tokenOf } from "./actor-record.ts";
import { type ActorReport, actorReport, placeOf } from "./actor-report.ts";
import { marksIn, type ShardMarks } from "./marks.ts";
import { type ReferencePage, type ReferenceQuery, referencePage } from "./reference-page.ts";
import { type SpentBudget, spentBudgets } from "./spent-budgets.ts";
import { type ExpiryCount, expiriesFrom, type PartSize, type SizePlace, sizesFrom, type WalkPiece } from "./state-walk.ts";
import { indexPiece } from "./touch-page.ts";

export interface ReaderSetup {
  readonly app: string;
  /** One counter; raised with each sign of life: a query that never returns is the app's code, as a handler is. */
  readonly heartbeat: SharedArrayBuffer;
}

export interface ShardFolder {
  readonly job: string;
  readonly partition: number;
  readonly folder: string;
}

export interface QueryReport extends Pick<ActorReport, "position" | "watermark"> {
  readonly result: QueryAnswer;
}

export interface KeyRange extends ShardFolder {
  /** Partitions of the log: slot s belongs to partition s modulo this. */
  readonly partitions: number;
}

/** Behind a key, as its written token, in a slot. */
export interface KeyPlace {
  readonly slot: number;
  readonly after: string;
}

export interface KeyPage {
  readonly keys: readonly string[];
  /** Where to go on; `undefined` at the end. */
  readonly next: KeyPlace | undefined;
}

/** What a query gives of every actor that has an answer. */
export interface AnswerPage {
  readonly answers: readonly { readonly key: string; readonly result: QueryAnswer }[];
  /** How many actors were asked. */
  readonly asked: number;
  readonly next: KeyPlace | undefined;
}

/** How far the committed rows of a shard are. */
export interface CommittedPlace {
  /** The first entry, and the event in it, that is not committed as a whole. */
  readonly sequence: number;
  readonly index: number;
  /** Position of the last entry in it. */
  readonly position: string;
  readonly watermark: number | undefined;
  /** Sequence of the epoch entry that begins its history. */
  readonly epochRoot: number;
}

export interface EachQuestion {
  readonly name: string;
  readonly input: unknown;
  /** Actors, and answers, at most. */
  readonly asked: number;
  readonly answers: number;
}

/** Any of it throws STATE_DAMAGED for a row that cannot be read. */
export interface Reads {
  /** `undefined` when the shard has committed nothing yet. */
  committed(place: ShardFolder): CommittedPlace | undefined;
  /** `undefined` when the shard has committed nothing yet. */
  marks(place: ShardFolder): ShardMarks | undefined;
  /** Of the app as this thread has loaded it. */
  codeHash(): string;
  /** `undefined` when the key has no such actor, or the shard nothing committed yet. */
  actor(place: ShardFolder, type: string, token: string): ActorReport | undefined;
  /** What a query of the actor gives; `undefined` when the key has no such actor. */
  query(place: ShardFolder, type: string, token: string, name: string, input: unknown): QueryReport | undefined;
  /** Keys of one shard that have such an actor, by slot and token. */
  keys(place: KeyRange, type: string, prefixToken: string, from: KeyPlace, limit: number): KeyPage;
  /** Asks the actors of one shard, by slot and token; those whose answer is null are left out. At most so many are asked. */
  askEach(place: KeyRange, type: string, prefixToken: string, from: KeyPlace, question: EachQuestion): AnswerPage;
  /** Entries from `from` on that touched a key, as the shard's index has them. */
  touches(place: ShardFolder, token: string, from: number, max: number): IndexPiece;
  /** Sums over a piece of a shard's rows: what its parts cost. `slots`: of the shard's own, so many are looked at. */
  sizes(place: KeyRange, slots: number, from: SizePlace, rowsMax: number): WalkPiece<PartSize, SizePlace>;
  /** The same of the index of what expires, in spans of `stepMs`. */
  expiries(place: ShardFolder, stepMs: number, after: string, rowsMax: number): WalkPiece<ExpiryCount, string>;
  /** Reference records in force at a time; of a partition's first shard as good as of any other. */
  reference(place: ShardFolder, query: ReferenceQuery): ReferencePage;
  /** What its calls have cost of budgets of models and tenants. */
  budgets(place: ShardFolder): readonly SpentBudget[];
}

/** As the node's other threads see it. */
export type StateReader = Outcomes<Reads>;

const READ_TRIES = 1_000;
const SCAN_ROWS = 200;
const BEAT_MS = 250;

const setup = workerData as ReaderSetup;
const heartbeat = new Int32Array(setup.heartbeat);
setInterval(() => Atomics.add(heartbeat, 0, 1), BEAT_MS);
const app = await loadApp(setup.app);
const stores = new Map<string, ShardStore>();
const actorRows = new Map<ShardStore, ActorRows>();

const reader: Reads = {
  committed(place) {
    const bytes = storeOf(place).get(META_ROW);
    const meta = bytes === undefined ? undefined : readMeta(bytes);
    if (meta === undefined) return undefined;
    const { cursor, last, watermark, epochRoot } = meta;
    const position = formatPosition(place.partition, last.sequence, last.index);
    return { sequence: cursor.sequence, index: cursor.index, position, watermark, epochRoot };
  },
  marks: (place) => marksIn(storeOf(place)),
  codeHash: () => app.codeHash,
  actor(place, type, token) {
    const store = storeOf(place);
    const { job, rows, number } = find(place.job, type, store);
    return atOneCommit(place, store, (meta) => {
      const record = rows.read(number, token, meta.watermark);
      return record === undefined ? undefined : actorReport(place, job, record, meta);
    });
  },
  query(place, type, token, name, input) {
    const store = storeOf(place);
    const { rows, number } = find(place.job, type, store);
    return atOneCommit(place, store, (meta) => {
      const result = rows.query(number, token, meta, name, input);
      return result === undefined ? undefined : { ...placeOf(place, meta), result };
    });
  },
  keys(place, type, prefixToken, from, limit) {
    const store = storeOf(place);
    const { rows, number } = find(place.job, type, store);
    const keys: string[] = [];
    for (const { key, at } of actorsFrom(place, store, prefixToken, from, (row) => rows.keyOf(row, number))) {
      keys.push(key);
      if (keys.length === limit) return { keys, next: at };
    }
    return { keys, next: undefined };
  },
  askEach(place, type, prefixToken, from, { name, input, asked: askedMax, answers: answersMax }) {
    const store = storeOf(place);
    const { rows, number } = find(place.job, type, store);
    const answers: { readonly key: string; readonly result: QueryAnswer }[] = [];
    let asked = 0;
    for (const { key, at } of actorsFrom(place, store, prefixToken, from, (row) => rows.keyOf(row, number))) {
      const result = atOneCommit(place, store, (meta) => rows.query(number, at.after, meta, name, input));
      if (result !== undefined && !(result.ok && result.json === "null")) answers.push({ key, result });
      asked++;
      if (asked === askedMax || answers.length === answersMax) return { answers, asked, next: at };
    }
    return { answers, asked, next: undefined };
  },
  touches: (place, token, from, max) => indexPiece(storeOf(place), token, from, max),
  sizes: (place, slots, from, rowsMax) => sizesFrom(jobOf(place.job), storeOf(place), { ...place, slots }, from, rowsMax),
  expiries: (place, stepMs, after, rowsMax) => expiriesFrom(storeOf(place), stepMs, after, rowsMax),
  reference: (place, query) => referencePage(storeOf(place), query),
  budgets: (place) => spentBudgets(storeOf(place)),
};

/** Actors of one shard by slot and token, in reads of bounded length. */
function* actorsFrom(
  place: KeyRange,
  store: ShardStore,
  prefixToken: string,
  from: KeyPlace,
  keyOf: (row: { readonly key: string; readonly value: Uint8Array }) => string | undefined,
): Generator<{ readonly key: string; readonly at: KeyPlace }> {
  for (let slot = from.slot; slot < SLOTS; slot++) {
    if (slot % place.partitions !== place.partition) continue;
    let after = slot === from.slot ? from.after : "";
    for (;;) {
      const start = after > prefixToken ? `${keyRow(slot, after)}\0` : keyRow(slot, prefixToken);
      const found = store.scan(start, keyRow(slot, `${prefixToken}\x7f`), SCAN_ROWS);
      for (const row of found) {
        after = tokenOf(row.key);
        const key = keyOf(row);
        if (key !== undefined) yield { key, at: { slot, after } };
      }
      if (found.length < SCAN_ROWS) break;
    }
  }
}

/** Two reads may see two commits: taken again until the meta row is the same before and after. */
function atOneCommit<T>(place: ShardFolder, store: ShardStore, read: (meta: Meta) => T | undefined): T | undefined {
  for (let attempt = 0; attempt < READ_TRIES; attempt++) {
    const before = store.get(META_ROW);
    const meta = before === undefined ? undefined : readMeta(before);
    if (before === undefined || meta === undefined) return undefined;
    const answer = read(meta);
    const after = store.get(META_ROW);
    if (after !== undefined && Buffer.compare(before, after) === 0) return answer;
  }
  throw new Error(`the state of ${place.job}/${place.partition} changed while it was read, ${READ_TRIES} times`);
}

function find(jobName: string, type: string, store: ShardStore): { readonly job: Job; readonly rows: ActorRows; readonly number: number } {
  const job = jobOf(jobName);
  const rows = rowsOf(job, store);
  const number = rows.numberOf(type);
  if (number === undefined) throw new Error(`the app has no actor "${type}" in job "${jobName}"`);
  return { job, rows, number };
}

function jobOf(name: string): Job {
  const job = jobNamed(app.jobs, name);
  if (job === undefined) throw new Error(`the app has no job "${name}"`);
  return job;
}

function storeOf({ folder }: ShardFolder): ShardStore {
  let store = stores.get(folder);
  if (store === undefined) {
    store = openLmdbStore(folder);
    stores.set(folder, store);
  }
  return store;
}

function rowsOf(job: Job, store: ShardStore): ActorRows {
  let rows = actorRows.get(store);
  if (rows === undefined) {
    rows = new ActorRows(job, store);
    // Of a store without state the shapes that will be there are not known: another build may put its own.
    if (store.get(META_ROW) !== undefined) actorRows.set(store, rows);
  }
  return rows;
}

Comlink.expose(outcomesOf(reader), nodeEndpoint(parentPort!));
parentPort!.postMessage("ready");
