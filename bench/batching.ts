/**
 * Rows a second of one model of ONNX Runtime, asked by many at once: with micro-batching and one by one. In one thread, by
 * itself: not measured is the way to the process that runs models, nor the log.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MicroBatching } from "../inference/batching/micro-batching.ts";
import type { ServedModel } from "../inference/inference.ts";
import { openOnnxModel } from "../inference/onnx/open-model.ts";
import type { PutModel } from "../test/support/put-models.ts";
import type { Row } from "./table.ts";

export interface BatchingOptions {
  readonly name: string;
  readonly model: PutModel;
  readonly rows: number;
  /** The i-th input. */
  readonly inputOf: (i: number) => object;
}

/** Who ask at a time, each for one answer after the other. */
const ASKERS = 512;
const NO_ABORT = new AbortController().signal;

export async function batching({ name, model, rows, inputOf }: BatchingOptions): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  try {
    const path = join(folder, "model.onnx");
    writeFileSync(path, model.content!);
    const sha256 = createHash("sha256").update(model.content!).digest("hex");
    const record = { format: 1, name: "model", version: 1, sha256, contentBytes: model.content!.length, ...model.description };
    const served = await openOnnxModel(record, path);
    const singly: ServedModel = { batchMax: 1, run: (inputs, signal) => served.run(inputs, signal), close: () => served.close() };
    // The code is compiled while it runs.
    await rowsPerSecond(served, rows / 10, inputOf);
    await rowsPerSecond(singly, rows / 10, inputOf);
    const single = await rowsPerSecond(singly, rows, inputOf);
    const batched = await rowsPerSecond(served, rows, inputOf);
    await served.close();
    return {
      benchmark: name,
      execution: served.execution,
      "single rows/s": Math.round(single.rate),
      "batched rows/s": Math.round(batched.rate),
      "rows of a batch": Math.round(batched.batch),
      ratio: Math.round((batched.rate / single.rate) * 10) / 10,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function rowsPerSecond(
  model: ServedModel,
  rows: number,
  inputOf: BatchingOptions["inputOf"],
): Promise<{ readonly rate: number; readonly batch: number }> {
  const batcher = new MicroBatching(model);
  const deadline = Date.now() + 3_600_000;
  let asked = 0;
  const start = performance.now();
  const ask = async (): Promise<void> => {
    while (asked < rows) {
      const i = asked++;
      const answer = await batcher.answer({ id: String(i), value: inputOf(i) }, deadline, NO_ABORT);
      if ("failed" in answer) throw new Error(`${answer.failed.code}: ${answer.failed.message}`);
    }
  };
  await Promise.all(Array.from({ length: ASKERS }, ask));
  const seconds = (performance.now() - start) / 1000;
  const { batches } = batcher.figures;
  return { rate: rows / seconds, batch: rows / batches };
}
