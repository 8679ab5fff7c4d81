/** Elements come in the order of their times; count and global windows count in the order of the log. Random cases, and situations. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { ordered } from "../../actors/model/operators/ordered.ts";
import { collect } from "../../actors/model/operators/windows/aggregates/elements.ts";
import { countWindow } from "../../actors/model/operators/windows/count-window.ts";
import { globalWindow } from "../../actors/model/operators/windows/global-window.ts";
import { mulberry32 } from "../../actors/random.ts";
import { arrivals, type Element, type Moment, moments } from "./arrivals.ts";
import { type Data, jobAround, toldBy } from "./fired.ts";
import { cutsOf, RUNS, SEED } from "./runs.ts";

type Identified = Data & { id: string };

function timesOf(seed: number) {
  const random = mulberry32(seed ^ 0x1b873593);
  const below = (n: number): number => Math.floor(random() * n);
  return {
    outOfOrdernessMs: below(60),
    allowedLatenessMs: random() < 0.3 ? 0 : below(200),
    size: 1 + below(6),
    slide: 1 + below(6),
    below,
  };
}

suite("elements in order", () => {
  test(`come when the watermark has passed them, or at once when it had, in ${RUNS} cases (OPERATOR_SEED=${SEED})`, () => {
    for (let run = 0; run < RUNS; run++) {
      const seed = SEED + run;
      const times = timesOf(seed);
      const all = arrivals({ seed, count: 60, stepMs: 10, ...times });
      const of = jobAround(ordered(Type.String()), (handle, { id }) => handle.add(id), times);
      const told = toldBy(of, all, cutsOf(seed)).map(({ key, time, fired }) => ({ key, time, id: fired.element, behind: fired.behind }));
      assert.deepEqual(told, inOrder(moments(all, times.outOfOrdernessMs, times.allowedLatenessMs)), `OPERATOR_SEED=${seed}`);
    }
  });
});

/** Held back until W > their time. */
function inOrder(all: readonly Moment[]) {
  const told: { key: string; time: number; id: string; behind: boolean }[] = [];
  let waiting: Element[] = [];
  const tell = ({ key, time, id }: Element, behind: boolean): unknown => told.push({ key, time, id, behind });
  for (const moment of all) {
    if (moment.kind === "element" && moment.element.time < moment.watermark) tell(moment.element, true);
    else if (moment.kind === "element") waiting.push(moment.element);
    else {
      const due = waiting.filter(({ time }) => time < moment.watermark);
      waiting = waiting.filter((element) => !due.includes(element));
      for (const element of due.sort((a, b) => a.time - b.time || compare(a.key, b.key))) tell(element, false);
    }
  }
  return told;
}

suite("count windows", () => {
  test(`hold the last elements of the log, in ${RUNS} cases (OPERATOR_SEED=${SEED})`, () => {
    for (let run = 0; run < RUNS; run++) {
      const seed = SEED + run;
      const { size, slide: any, ...times } = timesOf(seed);
      const slide = Math.min(any, size);
      const all = arrivals({ seed, count: 60, stepMs: 10, ...times });
      const window = countWindow(size, { ids: collect((e: Identified) => e.id) }, { slide, by: (e: Data) => e.group });
      const of = jobAround(window, (handle, element) => handle.add(element), times);
      const told = toldBy(of, all, cutsOf(seed)).map(({ key, fired }) => `${key}${fired.by} ${idsOf(fired.ids)}`);
      assert.deepEqual(told, counted(moments(all, times.outOfOrdernessMs, times.allowedLatenessMs), size, slide), `OPERATOR_SEED=${seed}`);
    }
  });
});

function counted(all: readonly Moment[], size: number, slide: number): string[] {
  const groups = new Map<string, Element[]>();
  return all.flatMap((moment) => {
    if (moment.kind !== "element") return [];
    const { element } = moment;
    const group = `${element.key}${element.group}`;
    const elements = [...(groups.get(group) ?? []), element];
    groups.set(group, elements);
    if (elements.length % slide !== 0) return [];
    return [`${group} ${idsOf(elements.slice(-size).map(({ id }) => id))}`];
  });
}

suite("a global window", () => {
  test(`tells all, or all since it was emptied, at every so many-th element, in ${RUNS} cases (OPERATOR_SEED=${SEED})`, () => {
    for (let run = 0; run < RUNS; run++) {
      const seed = SEED + run;
      const { size, below, ...times } = timesOf(seed);
      const purge = below(2) === 0;
      const all = arrivals({ seed, count: 60, stepMs: 10, ...times });
      const window = globalWindow({ ids: collect((e: Identified) => e.id) }, { everyEvents: size, purge });
      const of = jobAround(window, (handle, element) => handle.add(element), times);
      const told = toldBy(of, all, cutsOf(seed)).map(({ key, fired }) => `${key} ${idsOf(fired.ids)}`);
      const keys = new Map<string, string[]>();
      const expected = moments(all, times.outOfOrdernessMs, times.allowedLatenessMs).flatMap((moment) => {
        if (moment.kind !== "element") return [];
        const { key, id } = moment.element;
        const ids = [...(keys.get(key) ?? []), id];
        keys.set(key, ids);
        if (ids.length % size !== 0) return [];
        if (purge) keys.delete(key);
        return [`${key} ${idsOf(ids)}`];
      });
      assert.deepEqual(told, expected, `OPERATOR_SEED=${seed}`);
    }
  });
});

/** `collect` has them in the order of their times, which is not that of the log. */
function idsOf(ids: unknown): string {
  return (ids as string[]).toSorted().join(" ");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
