/** What is refused of pumps: by the declaration, and when an app is put together. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { besideEachOther, generationOf, type Job, job } from "../../actors/model/job.ts";
import { outputsOf, type Repartition, repartition } from "../../actors/model/repartition.ts";
import { stream } from "../../actors/model/stream.ts";
import { topologyOf } from "../../actors/model/topology/topology.ts";
import { firstSlotMap } from "../../runtime/log/slot-map.ts";
import { checkPumps, logsOf, pumpsBeside } from "../../runtime/pump/pump-places.ts";
import { spans, visitors, visits } from "../support/pump-app.ts";

const any = stream("any", { schema: Type.Unknown() });
const key = () => "k";
const from = (source: Parameters<typeof repartition>[0], name?: string): Repartition =>
  repartition(source, { streams: [any], key, ...(name === undefined ? {} : { name }) });
const of = (name: string, pumps: readonly Repartition[] = [], log = name): Job =>
  job(name, { log, from: pumps, actors: [actor(`${name}-actor`, { in: { any }, on: { any: () => {} } })] });

suite("a pump", () => {
  test("is refused with a name that is none, without streams, or without a function", () => {
    assert.throws(() => from("a", "Not A Name"), TypeError);
    assert.throws(() => repartition("a", { streams: [], key }), /at least one stream/);
    assert.throws(() => repartition("a", { streams: [any], key: "k" as never }), /no function/);
  });

  test("is refused beside one of its name, and when it reads what its own job reads or writes", () => {
    assert.throws(() => of("a", [from("b"), from("b")]), /two pumps are called "b"/);
    assert.doesNotThrow(() => of("a", [from("b"), from("b", "b2"), from(outputsOf("b"))]));
    assert.throws(() => of("a", [from("a")]), /never end/);
    assert.throws(() => of("a", [from(outputsOf("a"))]), /never end/);
    assert.throws(
      () =>
        of(
          "a",
          Array.from({ length: 17 }, (_, i) => from("b", `b${i}`)),
        ),
      /at most 16/,
    );
  });
});

test("a pump is drawn between its source and the log that it feeds", () => {
  const { nodes, edges } = topologyOf([visits, visitors, spans]);
  const labels = new Map(nodes.map(({ id, label }) => [id, label]));
  const drawn = edges.map(({ from: source, to }) => `${labels.get(source)} -> ${labels.get(to)}`).filter((edge) => edge.includes("pump"));
  assert.deepEqual(drawn, [
    "pump visits -> log visitors",
    "log visits -> pump visits",
    "pump visitors-out -> log spans",
    "visit.seen\nspan.part -> pump visitors-out",
  ]);
});

suite("an app", () => {
  const refused: Readonly<Record<string, readonly [RegExp, ...Job[]]>> = {
    "outputs of a job that it does not have": [/does not have/, of("a", [from(outputsOf("b"))])],
    "one pump declared by two jobs of a log": [/declare it once/, of("a", [from("x")], "log"), of("b", [from("x")], "log")],
    "a source that pumps feed": [/log that pumps feed/, of("a", [from("x")]), of("b", [from("a")])],
    "a circle of outputs": [/circle/, of("a", [from(outputsOf("b"))]), of("b", [from(outputsOf("c"))]), of("c", [from(outputsOf("a"))])],
    "the outputs of another job of its own log": [/circle/, of("a", [from(outputsOf("b"))], "log"), of("b", [], "log")],
  };
  for (const [name, [why, ...jobs]] of Object.entries(refused)) {
    test(`is refused for ${name}`, () => assert.throws(() => checkPumps("app.ts", jobs), { code: "APP_INVALID", message: why }));
  }

  test("may have stages: a log, the outputs of its job, and the outputs of those", () => {
    const jobs = [of("a"), of("b", [from("a"), from("x")]), of("c", [from(outputsOf("b")), from("y")])];
    checkPumps("app.ts", jobs);
    assert.deepEqual(logsOf(jobs), ["a", "b", "c", "x", "y"]);
  });

  test("lets all jobs of a log go by the pumps that one of them declares", () => {
    const jobs = besideEachOther([of("a", [from("x"), from("w")], "log"), of("b", [], "log"), of("c")]);
    assert.deepEqual(
      jobs.map(({ settings }) => settings.pumps),
      [["w", "x"], ["w", "x"], undefined],
    );
  });

  test("runs each pump of each source partition beside one shard: that it feeds, or that makes the outputs", () => {
    const jobs = [
      { job: of("a"), map: firstSlotMap(3), sources: new Map() },
      {
        job: of("b", [from("x"), from(outputsOf("a"))]),
        map: firstSlotMap(2),
        sources: new Map([
          ["x", firstSlotMap(5)],
          ["a-out", firstSlotMap(3)],
        ]),
      },
    ];
    const beside = (name: string, partition: number) =>
      pumpsBeside({ job: jobs.find(({ job }) => job.name === name)!.job, partition }, jobs).map(
        (place) => `${place.pump} ${place.partition}`,
      );
    assert.deepEqual(
      [beside("b", 0), beside("b", 1)],
      [
        ["x 0", "x 2", "x 4"],
        ["x 1", "x 3"],
      ],
    );
    // Also beside a generation of that job; what feeds the generation's log runs beside its job alone.
    const generations = jobs.map(({ job }) => generationOf(job, "g"));
    assert.deepEqual(
      generations.map((job) => pumpsBeside({ job, partition: 1 }, jobs).map((place) => `${place.pump} ${place.partition}`)),
      [["a-out 1"], []],
    );
    assert.deepEqual(
      [0, 1, 2].map((p) => beside("a", p)),
      [["a-out 0"], ["a-out 1"], ["a-out 2"]],
    );
  });
});
