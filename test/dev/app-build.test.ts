import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { type Actor, actor, timer } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { value } from "../../actors/model/cells/value.ts";
import { type JobOptions, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { type AppBuild, buildOf, type JobChange, planChange } from "../../runtime/node/app-build.ts";

const hit = stream("hit", { schema: Type.Object({ n: Type.Integer() }) });
const told = (schema = Type.Object({ n: Type.Integer() })) => output("told", { schema });

const CELLS = { count: value(Type.Integer(), 0) };
const TIMERS = { idle: timer("event", Type.Integer()) };
const handlers = { hit() {}, idle() {} };
type Options = Partial<Parameters<typeof actor<{ hit: { n: number } }>>[1]>;
/** The actor in many builds; what is not said is as in the first. */
const counting = (options: Options = {}): { readonly actors: readonly Actor[] } => ({
  actors: [actor("counter", { in: { hit }, state: CELLS, timers: TIMERS, on: handlers, ...options } as never) as unknown as Actor],
});

const build = (name: string, codeHash: string, options: Partial<JobOptions> = {}): AppBuild =>
  buildOf({ jobs: [job(name, { log: "hits", ...counting(), ...options })], codeHash, modules: [] }, {});
const OLD = build("counts", "old");
const changed = (options: Partial<JobOptions>): JobChange => planChange(OLD, build("counts", "new", options))[0]!;

suite("a job hands over", () => {
  const HARMLESS: Readonly<Record<string, Partial<JobOptions>>> = {
    "only its code changed": {},
    "its options changed": { outOfOrderness: "1s", allowedLateness: "1h" },
    "its version was raised": counting({ version: 2 }),
    "an output was added": counting({ out: { told: told() } } as never),
    "a cell was added": counting({ state: { ...CELLS, last: value(Type.Integer()) } } as never),
    "a cell was taken out": counting({ state: {} }),
    "an initial value changed": counting({ state: { count: value(Type.Integer(), 7) } } as never),
    "a cell has another time to live": counting({ state: { count: value(Type.Integer(), 0).ttl("1h") } } as never),
    "a timer was taken out": counting({ timers: {}, on: { hit() {} } } as never),
    "an actor was added": { actors: [...counting().actors, actor("second", { in: { hit }, on: { hit() {} } })] },
    "a cell is declared otherwise and a migrate leads there": counting({
      version: 2,
      state: { count: counter() },
      migrate: { 2: (old: object) => old },
    } as never),
  };
  for (const [when, options] of Object.entries(HARMLESS)) {
    test(`when ${when}`, () => assert.deepEqual(changed(options), { job: "counts", do: "hand-over" }));
  }

  test("also when the code is the same and a setting of the node changed", () => {
    const app = { jobs: [job("counts", { log: "hits", ...counting() })], codeHash: "old", modules: [] };
    assert.deepEqual(planChange(OLD, buildOf(app, { maxAheadMs: 1 })), [{ job: "counts", do: "hand-over" }]);
  });
});

suite("a job is folded anew", () => {
  const UNREADABLE: Readonly<Record<string, readonly [Partial<JobOptions>, RegExp]>> = {
    "when a cell has another schema": [
      counting({ state: { count: value(Type.String(), "") } } as never),
      /the cell count of its actor counter/,
    ],
    "when a cell is of another kind": [counting({ state: { count: counter() } } as never), /the cell count/],
    "when a timer has other data": [
      counting({ timers: { idle: timer("event", Type.String()) } } as never),
      /the timer idle of its actor counter/,
    ],
    "when it reads another log": [{ log: "others" }, /it reads the log others now, not hits/],
  };
  for (const [when, [options, because]] of Object.entries(UNREADABLE)) {
    test(when, () => {
      const change = changed(options);
      assert(change.do === "anew");
      assert.match(change.because, because);
    });
  }

  test("when a cell changed and a migrate leads only to the version that it had", () => {
    const migrate = { 2: (old: object) => old };
    const second = build("counts", "old", counting({ version: 2, migrate } as never));
    const next = build("counts", "new", counting({ version: 2, migrate, state: { count: counter() } } as never));
    assert.equal(planChange(second, next)[0]!.do, "anew");
  });
});

test("a job of the same code stays, a new one starts, one that is gone stops", () => {
  const both: AppBuild = { modules: [], jobs: [...OLD.jobs, ...build("extra", "old").jobs] };
  assert.deepEqual(planChange(OLD, both), [
    { job: "counts", do: "keep" },
    { job: "extra", do: "start" },
  ]);
  assert.deepEqual(planChange(both, OLD), [
    { job: "counts", do: "keep" },
    { job: "extra", do: "stop" },
  ]);
});
