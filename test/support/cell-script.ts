/**
 * A job whose events say what its handler is to do with cells of every kind, and an oracle that keeps the same cells in
 * plain lists, with every expiry worked out anew at every look.
 */
import fc from "fast-check";
import { Type } from "typebox";
import { actor, timer } from "../../actors/model/actor.ts";
import { type Counter, counter } from "../../actors/model/cells/counter.ts";
import { type ListCell, list } from "../../actors/model/cells/list.ts";
import { type MapCell, map } from "../../actors/model/cells/map.ts";
import { type SetCell, set } from "../../actors/model/cells/set.ts";
import { type Value, value } from "../../actors/model/cells/value.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { T0, TestLog } from "./entries.ts";

export const TTL_MS = 60_000;
const OUT_OF_ORDER_MS = 10_000;

export interface CellOp {
  readonly cell: "value" | "counter" | "map" | "list" | "set";
  readonly ttl: boolean;
  readonly do: "put" | "delete" | "clear";
  readonly at: string;
  readonly number: number;
  /** A time to live of what is put, of its own. A counter takes none. */
  readonly life?: number | undefined;
}

const Op = Type.Object({
  cell: Type.String(),
  ttl: Type.Boolean(),
  do: Type.String(),
  at: Type.String(),
  number: Type.Integer(),
  life: Type.Optional(Type.Integer()),
});
const Ops = Type.Object({
  ops: Type.Array(Op),
  fail: Type.Boolean(),
  failWhenEven: Type.Optional(Type.Boolean()),
  timer: Type.Optional(Type.Integer()),
});

export function cellJob(): Job {
  const cells = actor("cells", {
    in: { run: stream("cells.run", { schema: Ops }) },
    out: { seen: output("cells.seen", { schema: Type.Unknown() }) },
    state: {
      value: value(Type.Integer()),
      counter: counter(),
      map: map(Type.Integer()),
      list: list(Type.Integer()),
      set: set(Type.String()),
      valueTtl: value(Type.Integer()).ttl(TTL_MS),
      counterTtl: counter().ttl(TTL_MS),
      mapTtl: map(Type.Integer()).ttl(TTL_MS),
      listTtl: list(Type.Integer()).ttl(TTL_MS),
      setTtl: set(Type.String()).ttl(TTL_MS),
    },
    timers: { look: timer("event") },
    on: {
      run(ctx, { ops, fail, failWhenEven, timer: at }) {
        const { state } = ctx;
        for (const op of ops) {
          if (op.cell === "value") put(op.ttl ? state.valueTtl : state.value, op);
          else if (op.cell === "counter") count(op.ttl ? state.counterTtl : state.counter, op);
          else if (op.cell === "map") putIn(op.ttl ? state.mapTtl : state.map, op);
          else if (op.cell === "list") push(op.ttl ? state.listTtl : state.list, op);
          else member(op.ttl ? state.setTtl : state.set, op);
        }
        if (at !== undefined) ctx.timers.look.at(at);
        ctx.out.seen(look(state));
        if (fail) throw new Error("asked to");
        if (failWhenEven === true && state.counter.get() % 2 === 0) throw new Error("even");
      },
      look: (ctx) => ctx.out.seen(look(ctx.state)),
    },
  });
  return job("cells", {
    log: "cells",
    actors: [cells],
    outOfOrderness: OUT_OF_ORDER_MS,
    allowedLateness: "1h",
    dedupeHorizon: "2h",
    idle: "hold",
  });
}

type State = Parameters<typeof look>[0];
const put = (cell: State["value"], op: CellOpText): void => (op.do === "put" ? cell.set(op.number, { ttl: op.life }) : cell.delete());
const count = (cell: State["counter"], op: CellOpText): unknown => (op.do === "put" ? cell.add(op.number) : cell.delete());
const putIn = (cell: State["map"], op: CellOpText): unknown =>
  op.do === "put" ? cell.set(op.at, op.number, { ttl: op.life }) : op.do === "delete" ? cell.delete(op.at) : cell.clear();
const push = (cell: State["list"], op: CellOpText): unknown =>
  op.do === "put" ? cell.add(op.number, { ttl: op.life }) : op.do === "delete" ? cell.removeFirst() : cell.clear();
const member = (cell: State["set"], op: CellOpText): unknown =>
  op.do === "put" ? cell.add(op.at, { ttl: op.life }) : op.do === "delete" ? cell.delete(op.at) : cell.clear();

interface CellOpText {
  readonly do: string;
  readonly at: string;
  readonly number: number;
  readonly life?: number;
}

function look(state: {
  value: Value<number | undefined>;
  valueTtl: Value<number | undefined>;
  counter: Counter;
  counterTtl: Counter;
  map: MapCell<string, number>;
  mapTtl: MapCell<string, number>;
  list: ListCell<number>;
  listTtl: ListCell<number>;
  set: SetCell<string>;
  setTtl: SetCell<string>;
}) {
  const seen = (ttl: boolean) => {
    const value = ttl ? state.valueTtl : state.value;
    const map = ttl ? state.mapTtl : state.map;
    const list = ttl ? state.listTtl : state.list;
    const set = ttl ? state.setTtl : state.set;
    return {
      value: value.get() ?? null,
      counter: (ttl ? state.counterTtl : state.counter).get(),
      map: [...map.entries()],
      mapSize: map.size,
      list: list.get(),
      length: list.length,
      first: list.first() ?? null,
      set: [...set.values()],
      setSize: set.size,
      has: set.has("a") && map.has("a"),
    };
  };
  return { kept: seen(false), ttl: seen(true) };
}

interface Kept {
  readonly id: string;
  readonly number: number;
  readonly expires: number;
}

/** What the handler must have seen, worked out from the history alone. */
export class CellOracle {
  readonly #cells = new Map<string, Kept[]>();

  /** `now`: event time by which state expires. */
  apply(op: CellOp, now: number): void {
    const name = `${op.cell}${op.ttl}`;
    const kept = this.#cells.get(name) ?? [];
    const alive = kept.filter((one) => one.expires > now);
    const life = op.cell === "counter" ? undefined : op.life;
    const expires = now + (life ?? (op.ttl ? TTL_MS : Number.POSITIVE_INFINITY));
    const id = op.cell === "value" || op.cell === "counter" ? "" : op.at;
    if (op.do === "put") {
      if (op.cell === "list") kept.push({ id: "", number: op.number, expires });
      else {
        const at = kept.findIndex((one) => one.id === id);
        const before = op.cell === "counter" ? (alive[0]?.number ?? 0) : 0;
        kept.splice(at === -1 ? kept.length : at, at === -1 ? 0 : 1, { id, number: before + op.number, expires });
      }
    } else if (op.cell === "list" && op.do === "delete") {
      if (alive[0] !== undefined) kept.splice(kept.indexOf(alive[0]), 1);
    } else if (op.do === "clear" || op.cell === "value" || op.cell === "counter") kept.length = 0;
    else {
      const at = kept.findIndex((one) => one.id === id);
      if (at !== -1) kept.splice(at, 1);
    }
    this.#cells.set(name, kept);
  }

  copy(): CellOracle {
    const copy = new CellOracle();
    for (const [name, kept] of this.#cells) copy.#cells.set(name, [...kept]);
    return copy;
  }

  look(now: number): unknown {
    const seen = (ttl: boolean) => {
      const sorted = (cell: string) => this.#alive(`${cell}${ttl}`, now).sort((a, b) => (a.id < b.id ? -1 : 1));
      const list = this.#alive(`list${ttl}`, now);
      const map = sorted("map");
      const set = sorted("set");
      return {
        value: this.#alive(`value${ttl}`, now)[0]?.number ?? null,
        counter: this.#alive(`counter${ttl}`, now)[0]?.number ?? 0,
        map: map.map(({ id, number }) => [id, number]),
        mapSize: map.length,
        list: list.map(({ number }) => number),
        length: list.length,
        first: list[0]?.number ?? null,
        set: set.map(({ id }) => id),
        setSize: set.length,
        has: set.some(({ id }) => id === "a") && map.some(({ id }) => id === "a"),
      };
    };
    return { kept: seen(false), ttl: seen(true) };
  }

  #alive(name: string, now: number): Kept[] {
    return (this.#cells.get(name) ?? []).filter(({ expires }) => expires > now);
  }
}

interface Run {
  readonly ops: readonly CellOp[];
  readonly fail: boolean;
  /** Event time behind T0. */
  readonly time: number;
}

const anOp: fc.Arbitrary<CellOp> = fc.record({
  cell: fc.constantFrom("value", "counter", "map", "list", "set"),
  ttl: fc.boolean(),
  do: fc.constantFrom("put", "put", "put", "delete", "clear"),
  at: fc.constantFrom("a", "b", "c", "", "käse", "a.b c"),
  number: fc.integer({ min: -5, max: 5 }),
  life: fc.option(fc.constantFrom(1, TTL_MS / 3, TTL_MS * 2), { nil: undefined, freq: 2 }),
});

const aRun: fc.Arbitrary<Run> = fc.record({
  ops: fc.array(anOp, { maxLength: 6 }),
  fail: fc.boolean(),
  time: fc.integer({ min: 0, max: 6 * TTL_MS }),
});

/** Histories of one key, and what its handler must have seen at each run that did not fail. */
export const aCellHistory = fc.array(aRun, { minLength: 1, maxLength: 30 }).map((runs) => {
  const log = new TestLog("cells", T0 + 10 * TTL_MS);
  let oracle = new CellOracle();
  let watermark = Number.NEGATIVE_INFINITY;
  const seen: unknown[] = [];
  runs.forEach((run, i) => {
    const time = T0 + run.time;
    const fail = run.fail && i % 3 === 0;
    log.event({ id: `e${i}`, type: "cells.run", key: "k", time, data: { ops: run.ops, fail } });
    watermark = Math.max(watermark, time - OUT_OF_ORDER_MS);
    const now = Math.max(time, watermark);
    const before = oracle.copy();
    for (const op of run.ops) oracle.apply(op, now);
    if (fail) oracle = before;
    else seen.push(oracle.look(now));
  });
  return { log, seen };
});
