/**
 * Entry of the reader thread: answers questions about actors from committed rows, in short reads of its own, so that
 * no question ever holds up a shard. It never writes a row.
 */
import { parentPort, workerData } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { callId } from "../../actors/fold/call-row.ts";
import { type KeyRow, KeyRowCodec } from "../../actors/fold/key-row.ts";
import { keyRow, META_ROW, pageRow, TABLE } from "../../actors/fold/keys.ts";
import { type Meta, readMeta } from "../../actors/fold/meta.ts";
import { Shapes } from "../../actors/fold/shapes.ts";
import { callsOfActor } from "../../actors/fold/stored-calls.ts";
import { StoredCell } from "../../actors/fold/stored-cell.ts";
import type { Actor } from "../../actors/model/actor.ts";
import type { Job } from "../../actors/model/job.ts";
import { readKey, SLOTS, slotOf } from "../../actors/model/key.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { loadApp } from "../app.ts";
import { primitives } from "../primitives.ts";
import { openLmdbStore } from "../store/lmdb-store.ts";
import type { ShardStore } from "../store/shard-store.ts";

export interface ReaderSetup {
  readonly app: string;
}

export interface ActorReport {
  readonly type: string;
  readonly key: string;
  readonly shard: number;
  readonly position: string;
  readonly watermark: string | null;
  readonly state: Readonly<Record<string, unknown>>;
  readonly timers: readonly {
    readonly name: string;
    readonly id: string;
    readonly at: string;
    readonly clock: string;
    readonly data: unknown;
    readonly armedBy: string;
  }[];
  /** What goes by itself, and when. */
  readonly expires: readonly { readonly cell: string; readonly entry?: string; readonly at: string }[];
  readonly dedupe: { readonly count: number; readonly oldest: string | null; readonly horizon: string };
  /** Its calls that wait for their result, in the order in which they were asked for. */
  readonly pending: readonly {
    readonly id: string;
    readonly effect: string;
    /** Position. */
    readonly requestedAt: string;
    readonly deadline: string;
    /** By the owner that runs now: none, for this version makes no calls. */
    readonly attempts: 0;
  }[];
}

export interface ShardFolder {
  readonly job: string;
  readonly partition: number;
  readonly folder: string;
}

export interface KeyPage {
  readonly keys: readonly string[];
  /** Token behind which to go on, and its slot; `undefined` at the end. */
  readonly next: { readonly slot: number; readonly after: string } | undefined;
}

export interface StateReader {
  /** `undefined` when the key has no such actor, or the shard nothing committed yet. */
  actor(place: ShardFolder, type: string, token: string): ActorReport | undefined;
  /** Keys of one shard that have such an actor, by slot and token. */
  keys(place: ShardFolder, type: string, prefixToken: string, from: { slot: number; after: string }, limit: number): KeyPage;
}

const READ_TRIES = 1_000;
const SCAN_ROWS = 200;

const app = await loadApp((workerData as ReaderSetup).app);
const stores = new Map<string, ShardStore>();
const codecs = new Map<ShardStore, KeyRowCodec>();

const reader: StateReader = {
  actor(place, type, token) {
    const { job, actor, number } = find(place.job, type);
    const store = storeOf(place);
    const slot = slotOf(token);
    // Two reads may see two commits: taken again until the meta row is the same before and after.
    for (let attempt = 0; attempt < READ_TRIES; attempt++) {
      const before = store.get(META_ROW);
      const meta = before === undefined ? undefined : readMeta(before);
      const bytes = store.get(keyRow(slot, token));
      if (before === undefined || meta === undefined || bytes === undefined) return undefined;
      const row = codecOf(job, store).decode(token, slot, bytes);
      const answer = row.sections[number] === undefined ? undefined : report(store, place, job, actor, number, row, meta);
      const after = store.get(META_ROW);
      if (after !== undefined && Buffer.compare(before, after) === 0) return answer;
    }
    throw new Error(`the state of ${place.job}/${place.partition} changed while it was read, ${READ_TRIES} times`);
  },
  keys(place, type, prefixToken, from, limit) {
    const { job, number } = find(place.job, type);
    const store = storeOf(place);
    const keys: string[] = [];
    for (let slot = from.slot; slot < SLOTS; slot++) {
      let after = slot === from.slot ? from.after : "";
      for (;;) {
        const start = after > prefixToken ? `${keyRow(slot, after)}\0` : keyRow(slot, prefixToken);
        const rows = store.scan(start, keyRow(slot, `${prefixToken}\x7f`), SCAN_ROWS);
        for (const { key, value } of rows) {
          const token = key.slice(TABLE.key.length + 2);
          after = token;
          if (codecOf(job, store).decode(token, slot, value).sections[number] === undefined) continue;
          keys.push(readKey(token)!);
          if (keys.length === limit) return { keys, next: { slot, after: token } };
        }
        if (rows.length < SCAN_ROWS) break;
      }
    }
    return { keys, next: undefined };
  },
};

function find(jobName: string, type: string): { readonly job: Job; readonly actor: Actor; readonly number: number } {
  const job = app.jobs.find((candidate) => candidate.name === jobName);
  const number = job?.actors.findIndex((actor) => actor.name === type) ?? -1;
  if (job === undefined || number === -1) throw new Error(`the app has no actor "${type}" in job "${jobName}"`);
  return { job, actor: job.actors[number]!, number };
}

function storeOf({ folder }: ShardFolder): ShardStore {
  let store = stores.get(folder);
  if (store === undefined) {
    store = openLmdbStore(folder);
    stores.set(folder, store);
  }
  return store;
}

function codecOf(job: Job, store: ShardStore): KeyRowCodec {
  let codec = codecs.get(store);
  if (codec === undefined) {
    codec = new KeyRowCodec(new Shapes(job.actors, store, primitives));
    codecs.set(store, codec);
  }
  return codec;
}

function pagesOf(store: ShardStore, row: KeyRow) {
  const refuse = (): never => {
    throw new Error("the reader never writes");
  };
  return { readPage: (page: number) => store.get(pageRow(row.slot, row.token, page)) ?? refuse(), writePage: refuse, dropPage: refuse };
}

function report(store: ShardStore, place: ShardFolder, job: Job, actor: Actor, number: number, row: KeyRow, meta: Meta): ActorReport {
  const oldest = row.dedupe.oldest(pagesOf(store, row));
  const section = row.sections[number]!;
  // In the shape that it was stored in: a build with other cells brings it to its own when a handler needs it.
  const { shape } = section;
  const cells = shape.cells.map((cell, i) => ({ name: cell.name, cell, view: new StoredCell(store, row, section, i, meta.watermark) }));
  return {
    type: actor.name,
    key: row.key,
    shard: place.partition,
    position: formatPosition(place.partition, meta.last.sequence, meta.last.index),
    watermark: meta.watermark === undefined ? null : formatInstant(meta.watermark),
    state: Object.fromEntries(cells.map(({ name, cell, view }) => [name, cell.plain(view)])),
    timers: section.timers.map((timer) => ({
      name: shape.timers[timer.timer]!.name,
      id: readKey(timer.id) ?? "",
      at: formatInstant(timer.at),
      clock: shape.timers[timer.timer]!.clock,
      data: timer.data ?? null,
      armedBy: timer.armedBy,
    })),
    dedupe: {
      count: row.dedupe.count,
      oldest: oldest === undefined ? null : formatInstant(oldest),
      horizon: `${job.settings.dedupeHorizonMs}ms`,
    },
    expires: cells.flatMap(({ name, cell, view }) =>
      [...view.expiries()].map(({ id, at }) => ({
        cell: name,
        ...(cell.entry === undefined ? {} : { entry: readKey(id) ?? "" }),
        at: formatInstant(at),
      })),
    ),
    pending: callsOfActor(store, section).map((call) => ({
      id: callId(place.job, place.partition, call),
      effect: call.effect,
      requestedAt: formatPosition(place.partition, call.address.sequence, call.address.index),
      deadline: formatInstant(call.deadline),
      attempts: 0,
    })),
  };
}

Comlink.expose(reader, nodeEndpoint(parentPort!));
parentPort!.postMessage("ready");
