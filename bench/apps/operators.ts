/**
 * A job around each operator, fed with every event of the log. `silent` ones fire and emit nothing, `unheard` ones never
 * fire; the others emit an output each time.
 */
import { Type } from "typebox";
import { type Actor, actor } from "../../actors/model/actor.ts";
import type { Cell } from "../../actors/model/cell.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { batched } from "../../actors/model/operators/batched.ts";
import { intervalJoin } from "../../actors/model/operators/joins/interval-join.ts";
import { tableJoin } from "../../actors/model/operators/joins/table-join.ts";
import { temporalJoin } from "../../actors/model/operators/joins/temporal-join.ts";
import { ordered } from "../../actors/model/operators/ordered.ts";
import { avg, count, sum } from "../../actors/model/operators/windows/aggregates/numbers.ts";
import { countWindow } from "../../actors/model/operators/windows/count-window.ts";
import { globalWindow } from "../../actors/model/operators/windows/global-window.ts";
import { session } from "../../actors/model/operators/windows/session-window.ts";
import { sliding, tumbling } from "../../actors/model/operators/windows/time-window.ts";
import { begin } from "../../actors/model/patterns/pattern.ts";
import { pattern } from "../../actors/model/patterns/pattern-operator.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { counterJob } from "./counter.ts";

const Reading = Type.Object({ deviceId: Type.String(), value: Type.Number() });
type Reading = { deviceId: string; value: number };

type Heard = "emits" | "silent" | "unheard";

function jobAround<H>(operator: Cell<H>, feed: (handle: H, reading: Reading, now: number) => void, heard: Heard = "emits"): Job {
  const fired = (ctx: { out: { fired(data: unknown): unknown } }, data: unknown): void => {
    if (heard === "emits") ctx.out.fired(data);
  };
  const handlers = {
    reading: (ctx: { state: { operator: H }; now: number }, reading: Reading) => feed(ctx.state.operator, reading, ctx.now),
    ...(heard === "unheard" ? {} : { operator: fired }),
  };
  const around = actor("around", {
    in: { reading: stream("bench.reading", { schema: Reading }) },
    out: { fired: output("bench.fired", { schema: Type.Unknown() }) },
    state: { operator: operator as Cell<unknown> },
    on: handlers as never,
  });
  const actors: readonly Actor[] = [around as Actor];
  return job("bench", { log: "bench", actors, outOfOrderness: "10s", allowedLateness: "5m", dedupeHorizon: "1h", idle: "hold" });
}

const aggregates = { count: count(), sum: sum((r: Reading) => r.value) };
const add = (handle: { add(reading: Reading): void }, reading: Reading): void => handle.add(reading);
/** Readings of one device are alike: half of the devices match with every fourth one. */
const threeThenOne = begin("high", { where: (r: Reading) => r.value >= 50 })
  .times(3)
  .consecutive()
  .followedBy("next", { where: (r, { high }) => r.value === high[0]?.value })
  .within("5m")
  .skipPastLastEvent();
/** A device's readings are 10 s apart: every other one goes right. */
const isRight = (now: number): boolean => Math.floor(now / 10_000) % 2 === 1;
const bothSides = (handle: { addLeft(r: Reading): void; addRight(r: Reading): void }, reading: Reading, now: number): void =>
  isRight(now) ? handle.addRight(reading) : handle.addLeft(reading);

export const OPERATOR_JOBS: Readonly<Record<string, Job>> = {
  counter: counterJob(100),
  "tumbling 5m": jobAround(tumbling("5m", aggregates), add),
  "tumbling 5m, silent": jobAround(tumbling("5m", aggregates), add, "silent"),
  "tumbling 5m, unheard": jobAround(tumbling("5m", aggregates), add, "unheard"),
  "sliding 1h by 5m": jobAround(sliding("1h", "5m", { avg: avg((r: Reading) => r.value) }), add),
  "sliding 1h by 5m, silent": jobAround(sliding("1h", "5m", { avg: avg((r: Reading) => r.value) }), add, "silent"),
  "sliding 30d by 1d, silent": jobAround(sliding("30d", "1d", aggregates), add, "silent"),
  "session 1m": jobAround(session("1m", aggregates), add),
  "session 1m, silent": jobAround(session("1m", aggregates), add, "silent"),
  "last 100 every 10": jobAround(countWindow(100, aggregates, { slide: 10 }), add),
  "global every 10": jobAround(globalWindow(aggregates, { everyEvents: 10 }), add),
  ordered: jobAround(ordered(Reading), add),
  "ordered, silent": jobAround(ordered(Reading), add, "silent"),
  "batches of 32": jobAround(batched(Reading, { events: 32, within: "1m" }), add),
  "pattern of 4": jobAround(pattern(Reading, threeThenOne), add),
  "pattern of 4, silent": jobAround(pattern(Reading, threeThenOne), add, "silent"),
  "interval join 1m": jobAround(intervalJoin({ left: Reading, right: Reading, before: 0, after: "1m" }), bothSides),
  "temporal join": jobAround(temporalJoin({ stream: Reading, table: Reading }), (handle, reading, now) =>
    isRight(now) ? handle.set(reading) : handle.add(reading),
  ),
  "table join": jobAround(tableJoin({ left: Reading, right: Reading, keep: "1h" }), bothSides),
};
