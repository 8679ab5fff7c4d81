/** Models in workers: what ends a worker ends what it ran, and nothing else. */
import assert from "node:assert/strict";
import { renameSync } from "node:fs";
import { suite, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { encodeModel, type ModelProto } from "../../../inference/onnx/onnx-proto.ts";
import { floats, integers, model, node, value } from "../../../inference/onnx/onnx-writer.ts";
import { openOnnxModel } from "../../../inference/onnx/open-model.ts";
import { failureOf, opened, outputs, recordOf, run, writtenModel } from "./opened-model.ts";

const WIDTH = 32_768;

/** Many numbers of each input: as JSON, those of a whole batch are more than a small worker holds. */
const manyNumbers = model({
  nodes: [node("Expand", ["x", "shape"], ["out"])],
  weights: [integers("shape", [2], [1, WIDTH])],
  inputs: [value("x", "float32", ["n", 1])],
  outputs: [value("out", "float32", ["n", WIDTH])],
});
const numbers = (count: number, x = 0.5) => Array.from({ length: count }, () => ({ x }));
const expected = (count: number, x = 0.5) => Array.from({ length: count }, () => ({ out: new Array(WIDTH).fill(x) }));
const SMALL = { workerMemoryMb: 40 };

/** Of a size of which a batch takes several milliseconds. */
function wideModel(width: number): ModelProto {
  const weights = new Float32Array(width * width).fill(1 / width);
  return model({
    nodes: [
      node("MatMul", ["x", "w"], ["h"]),
      node("MatMul", ["h", "w"], ["i"]),
      node("ReduceMean", ["i"], ["y"], { axes: [1n], keepdims: 0n }),
    ],
    weights: [floats("w", [width, width], weights)],
    inputs: [value("x", "float32", ["n", width])],
    outputs: [value("y", "float32", ["n"])],
  });
}

const ones = (width: number) => ({ x: new Array<number>(width).fill(1) });

suite("a model in workers", () => {
  test("a worker without memory fails its run with OUT_OF_MEMORY, and the next one is answered", async (t) => {
    const served = await opened(t, manyNumbers, { execution: "pool" }, SMALL);
    assert.equal((await failureOf(run(served, numbers(256)))).code, "OUT_OF_MEMORY");
    assert.deepEqual(await outputs(served, numbers(2)), expected(2));
  });

  test("a worker that could not open the model anew tries again later", { timeout: 60_000 }, async (t) => {
    const { path, sha256 } = writtenModel(t, encodeModel(manyNumbers));
    const served = await openOnnxModel(recordOf({ execution: "pool" }, sha256), path, SMALL);
    t.after(() => served.close());
    renameSync(path, `${path}.away`);
    assert.equal((await failureOf(run(served, numbers(256)))).code, "OUT_OF_MEMORY");
    assert.equal((await failureOf(run(served, numbers(1)))).code, "MODEL_REFUSED");
    renameSync(`${path}.away`, path);
    const answered = async (): Promise<boolean> =>
      await run(served, numbers(1)).then(
        () => true,
        () => false,
      );
    while (!(await answered())) await setImmediate();
    assert.deepEqual(await outputs(served, numbers(1)), expected(1));
  });

  test("a worker without memory leaves the runs of the others alone", async (t) => {
    const served = await opened(t, manyNumbers, { execution: "pool", workers: 2 }, SMALL);
    const dies = failureOf(run(served, numbers(256)));
    const live = await Promise.all([1, 2, 3, 4, 5].map((x) => outputs(served, numbers(1, x))));
    assert.deepEqual(
      live,
      [1, 2, 3, 4, 5].map((x) => expected(1, x)),
    );
    assert.equal((await dies).code, "OUT_OF_MEMORY");
  });

  test("a run that is called off ends at once without ending its worker, and the next one is answered", async (t) => {
    const served = await opened(t, wideModel(512), { execution: "pool" });
    for (let turns = 0; turns < 100; turns += 20) {
      const abort = new AbortController();
      const calledOff = run(served, new Array(256).fill(ones(512)), abort.signal);
      for (let turn = 0; turn < turns; turn += 1) await setImmediate();
      abort.abort(new Error("called off"));
      await assert.rejects(calledOff, /called off/);
    }
    assert.ok(Math.abs(((await outputs(served, [ones(512)]))[0] as { y: number }).y - 1) < 1e-5);
  });

  test("more runs than may wait are refused as OVERLOADED, and those that wait are answered", async (t) => {
    const served = await opened(t, wideModel(16), { execution: "pool" }, { queueMax: 2 });
    const settled = await Promise.allSettled(Array.from({ length: 8 }, () => run(served, [ones(16)])));
    const refused = settled.filter((each) => each.status === "rejected").map(({ reason }) => reason.failure.code);
    assert.ok(refused.length >= 1 && refused.every((code) => code === "OVERLOADED"), refused.join());
    assert.ok(settled.filter(({ status }) => status === "fulfilled").length >= 3);
  });

  test("a run in the thread that is called off before it began does not run", async (t) => {
    const served = await opened(t, wideModel(16), { execution: "thread" });
    await assert.rejects(run(served, [ones(16)], AbortSignal.abort(new Error("called off"))), /called off/);
  });

  test("a model that is closed while it runs ends its runs first", async (t) => {
    const served = await opened(t, wideModel(512), { execution: "pool", workers: 2 });
    const runs = Promise.allSettled(Array.from({ length: 6 }, () => run(served, new Array(64).fill(ones(512)))));
    await served.close();
    assert.equal((await runs).length, 6);
  });

  test("a model that does not open in time is refused", async (t) => {
    const { code, message } = await failureOf(opened(t, wideModel(512), { execution: "pool" }, { loadMaxMs: 1 }));
    assert.equal(code, "MODEL_REFUSED");
    assert.match(message, /within 1 ms/);
  });

  test("a model of which a batch takes milliseconds stays in its workers, and a small one comes into the thread", async (t) => {
    const wide = await opened(t, wideModel(2_048));
    assert.equal(wide.execution, "pool");
    const { trialMs, execution, batchMax } = await opened(t, wideModel(4));
    assert.ok(trialMs !== null);
    assert.equal(execution, trialMs < 1 ? "thread" : "pool");
    assert.ok(trialMs >= 1 || batchMax >= 128);
  });
});
