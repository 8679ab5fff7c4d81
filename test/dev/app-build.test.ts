import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { actor, timer } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { value } from "../../actors/model/cells/value.ts";
import { type JobOptions, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { type AppBuild, buildOf, type JobChange, planChange } from "../../runtime/node/app-build.ts";

const hit = stream("hit", { schema: Type.Object({ n: Type.Integer() }) });
const told = (schema = Type.Object({ n: Type.Integer() })) => output("told", { schema });
const on = { hit() {} };

/** The same job in many builds; what is not said is as in the first. */
const first = actor("counter", { in: { hit }, state: { count: value(Type.Integer(), 0) }, on });
const build = (name: string, codeHash: string, options: Partial<JobOptions> = {}): AppBuild =>
  buildOf({ jobs: [job(name, { log: "hits", actors: [first], ...options })], codeHash, modules: [] }, {});
const OLD = build("counts", "old");

const changed = (options: Partial<JobOptions>): JobChange => planChange(OLD, build("counts", "new", options))[0]!;

suite("a job hands over", () => {
  const HARMLESS: Readonly<Record<string, Partial<JobOptions>>> = {
    "only its code changed": {},
    "its options changed": { outOfOrderness: "1s", allowedLateness: "1h" },
    "its version was raised": { actors: [actor("counter", { version: 2, in: { hit }, state: { count: value(Type.Integer(), 0) }, on })] },
    "an initial value changed": { actors: [actor("counter", { in: { hit }, state: { count: value(Type.Integer(), 7) }, on })] },
    "an output was added": {
      actors: [actor("counter", { in: { hit }, out: { told: told() }, state: { count: value(Type.Integer(), 0) }, on })],
    },
  };
  for (const [when, options] of Object.entries(HARMLESS)) {
    test(`when ${when}`, () => assert.deepEqual(changed(options), { job: "counts", do: "hand-over" }));
  }

  test("also when the code is the same and a setting of the node changed", () => {
    const app = { jobs: [job("counts", { log: "hits", actors: [first] })], codeHash: "old", modules: [] };
    assert.deepEqual(planChange(OLD, buildOf(app, { maxAheadMs: 1 })), [{ job: "counts", do: "hand-over" }]);
  });
});

suite("a job is folded anew, for the next build could not read its rows", () => {
  const cells = (state: Parameters<typeof actor<{ hit: { n: number } }>>[1]["state"]) => ({
    actors: [actor("counter", { in: { hit }, state: state ?? {}, on })],
  });
  const UNREADABLE: Readonly<Record<string, readonly [Partial<JobOptions>, RegExp]>> = {
    "a cell was added": [cells({ count: value(Type.Integer(), 0), last: value(Type.Integer()) }), /cells or timers of its actor counter/],
    "a cell was taken out": [cells({}), /cells or timers/],
    "a cell has another schema": [cells({ count: value(Type.String(), "") }), /cells or timers/],
    "a cell is of another kind": [cells({ count: counter() }), /cells or timers/],
    "a cell has another time to live": [cells({ count: value(Type.Integer(), 0).ttl("1h") }), /cells or timers/],
    "a timer was added": [
      {
        actors: [
          actor("counter", {
            in: { hit },
            state: { count: value(Type.Integer(), 0) },
            timers: { idle: timer("event") },
            on: { ...on, idle() {} },
          }),
        ],
      },
      /cells or timers/,
    ],
    "an actor was added": [{ actors: [first, actor("second", { in: { hit }, on })] }, /its actors are counter, second, and were counter/],
    "it reads another log": [{ log: "others" }, /it reads the log others now, not hits/],
  };
  for (const [when, [options, because]] of Object.entries(UNREADABLE)) {
    test(`when ${when}`, () => {
      const change = changed(options);
      assert(change.do === "anew");
      assert.match(change.because, because);
    });
  }

  test("when the version of an actor went back", () => {
    const second = build("counts", "new", {
      actors: [actor("counter", { version: 2, in: { hit }, state: { count: value(Type.Integer(), 0) }, on })],
    });
    const [change] = planChange(second, OLD);
    assert(change?.do === "anew");
    assert.match(change.because, /went back from 2 to 1/);
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
