/** `tidemark models list|put|activate` against a live node, and `check`, which needs none. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { encodeModel } from "../../inference/onnx/onnx-proto.ts";
import { floats, model, node, value } from "../../inference/onnx/onnx-writer.ts";
import { startApiNode } from "../support/api-node.ts";
import { runOnTerminal, runPiped } from "../support/cli-run.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-models-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: Uint8Array | string | object): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" || content instanceof Uint8Array ? content : JSON.stringify(content));
  return path;
}

/** y = weight * x + 0.5 */
const linear = (weight: number): Uint8Array =>
  encodeModel(
    model({
      nodes: [node("Gemm", ["x", "w", "b"], ["y"])],
      weights: [floats("w", [1, 1], [weight]), floats("b", [1], [0.5])],
      inputs: [value("x", "float32", ["batch", 1])],
      outputs: [value("y", "float32", ["batch", 1])],
    }),
  );
const half = linear(0.5);
const halfFile = file("half.onnx", half);

suite("models on a node", async () => {
  const { url } = await startApiNode("./scored-app.ts", "payments");
  const run = (...words: string[]) => runPiped(["models", ...words, "--url", url]);
  const shown = async (...words: string[]) => (await runOnTerminal(["models", ...words, "--url", url], { NO_COLOR: "1" })).stdout;
  const described = (fields: readonly string[] = ["amount"], more: object = {}) => ({
    serving: { kind: "onnx", inputs: { x: { fields } }, outputs: { score: { tensor: "y" } } },
    input: { type: "object", properties: { amount: { type: "number" } }, required: ["amount"] },
    output: { type: "object", properties: { score: { type: "number" } }, required: ["score"] },
    ...more,
  });
  const description = file("fraud.json", described());

  test("that are not registered are listed all the same when a job calls them, with none in force", async () => {
    assert.deepEqual((await shown("list")).trimEnd().split("\n"), ["MODEL  VERSIONS  IN FORCE", "fraud  -         payments: none"]);
  });

  test("are put, and the same again is found", async () => {
    const { code, stdout, stderr } = await run("put", "fraud", description, "--content", halfFile);
    assert.deepEqual([code, stderr], [0, ""]);
    const sha256 = createHash("sha256").update(half).digest("hex");
    const body = { version: 1, sha256, contentBytes: half.length, kind: "onnx", minConfidence: null, sloMs: null };
    assert.deepEqual(JSON.parse(stdout), { name: "fraud", version: body, written: true });
    assert.equal(
      await shown("put", "fraud", description, "--content", halfFile),
      `fraud version 1, which was there (${sha256.slice(0, 12)})\n`,
    );
    const twice = file("twice.onnx", linear(2));
    assert.match(await shown("put", "fraud", description, "--content", twice), /^fraud version 2 \([0-9a-f]{12}\)\n$/);
  });

  test("are refused with the place and the reason, and no version comes of it", async () => {
    for (const [words, reason] of [
      [[description], /an onnx model has a content/],
      [[description, "--content", file("torn.onnx", half.subarray(0, 40))], /its content: /],
      [[description, "--content", file("text.onnx", "no model")], /its content: /],
      [[file("other.json", described(["amount", "count"])), "--content", halfFile], /its content: .*x/],
      [[file("wrong.json", described(["amount"], { sloMs: 0 })), "--content", halfFile], /\/sloMs is whole milliseconds/],
      [
        [file("remote.json", described(["amount"], { serving: { kind: "json", url: "http://127.0.0.1:1/" } })), "--content", halfFile],
        /has no content/,
      ],
    ] as const) {
      const { code, stdout, stderr } = await run("put", "fraud", ...words);
      assert.deepEqual([code, stdout], [1, ""], stderr);
      assert.match(stderr, /^tidemark: MODEL_INVALID: /);
      assert.match(stderr, reason);
    }
    const named = await run("put", "a..b", description, "--content", halfFile);
    assert.match(named.stderr, /^tidemark: MODEL_INVALID: .*without two dots in a row/);
    const [fraud] = (await run("list")).stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { versions: object[] });
    assert.equal(fraud?.versions.length, 2);
  });

  test("that are no files, or no JSON, are told of before anything is sent", async () => {
    for (const [words, reason] of [
      [[join(folder, "nowhere.json")], /nowhere\.json cannot be read/],
      [[file("half.json", "{"), "--content", halfFile], /half\.json is no JSON/],
      [[description, "--content", join(folder, "nowhere.onnx")], /nowhere\.onnx cannot be read/],
      [[description, "--content", file("large.onnx", Buffer.alloc(64 * 1024 * 1024 + 1))], /let the app bring it/],
    ] as const) {
      const { code, stderr } = await run("put", "fraud", ...words);
      assert.equal(code, 1);
      assert.match(stderr, /^tidemark: INPUT_INVALID: /);
      assert.match(stderr, reason);
    }
  });

  test("are put in force with a challenger beside, promoted, and rolled back", async () => {
    assert.equal(await shown("activate", "fraud", "--champion", "1"), "fraud in force in payments: 1\n");
    assert.equal(await shown("activate", "fraud", "--challenger", "2:0.25"), "fraud in force in payments: 1 / 2:0.25\n");
    assert.match(await shown("list"), /^fraud {2}1 \(onnx\), 2 \(onnx\) {2}payments: 1 \/ 2:0\.25$/m);
    assert.equal(await shown("activate", "fraud", "--champion", "2"), "fraud in force in payments: 2\n");
    const { code, stdout } = await run("activate", "fraud", "--rollback", "--log", "payments");
    assert.deepEqual([code, (JSON.parse(stdout) as { inForce: { champion: number }[] }).inForce[0]?.champion], [0, 1]);
    await run("activate", "fraud", "--challenger", "2:1");
    assert.equal(await shown("activate", "fraud", "--no-challenger"), "fraud in force in payments: 1\n");
  });

  test("of which no such version is registered, or that nobody calls, are not put in force", async () => {
    for (const [words, reason] of [
      [["fraud", "--champion", "9"], /has no version 9/],
      [["nobody", "--champion", "1"], /No job here calls the model "nobody"/],
      [["fraud", "--champion", "1", "--log", "other"], /on the log other/],
    ] as const) {
      const { code, stderr } = await run("activate", ...words);
      assert.equal(code, 1);
      assert.match(stderr, /^tidemark: MODEL_MISSING: /);
      assert.match(stderr, reason);
    }
  });

  test("are not activated by what nobody can mean: it ends with 2", async () => {
    for (const words of [
      [],
      ["--champion", "0"],
      ["--champion", "one"],
      ["--challenger", "2"],
      ["--challenger", "2:0"],
      ["--challenger", "2:1.5"],
      ["--challenger", "2:0.1", "--no-challenger"],
      ["--champion", "1", "--rollback"],
    ]) {
      const { code, stderr } = await run("activate", "fraud", ...words);
      assert.equal(code, 2, `${words.join(" ")}: ${stderr}`);
    }
    assert.equal((await run("put", "fraud")).code, 2);
  });
});

suite("a model that is checked where no node runs", () => {
  const inputs = file("inputs.json", { x: [[1], [2], [-3]] });
  const expect = file("expect.json", { y: [[1], [1.5], [-1]] });
  const check = (...words: string[]) => runPiped(["models", "check", ...words]);

  test("and gives what is expected ends with 0", async () => {
    const { code, stdout, stderr } = await check(halfFile, "--inputs", inputs, "--expect", expect);
    assert.deepEqual([code, stderr], [0, ""]);
    const { equal, outputs } = JSON.parse(stdout) as { equal: boolean; outputs: { name: string; dims: number[]; equal: boolean }[] };
    assert.deepEqual([equal, outputs.map(({ name, dims }) => [name, dims])], [true, [["y", [3, 1]]]]);
  });

  test("and gives something else ends with 1, and shows how far it is and where", async () => {
    const wrong = file("wrong-expect.json", { y: [[1], [1.75], [-1]] });
    const { code, stdout } = await runOnTerminal(["models", "check", halfFile, "--inputs", inputs, "--expect", wrong], { NO_COLOR: "1" });
    assert.equal(code, 1);
    assert.match(stdout, /^OUTPUT +TYPE +DIMS +EQUAL +LARGEST DIFFERENCE +WHERE/);
    assert.match(stdout, /\ny +\S+ +\[3, 1\] +no +0\.25 +\[1, 0\]: 1\.5, expected 1\.75/);
    assert.equal((await check(halfFile, "--inputs", inputs, "--expect", wrong, "--tolerance", "0.5")).code, 0);
    assert.equal((JSON.parse((await check(halfFile, "--inputs", inputs, "--expect", wrong)).stdout) as { equal: boolean }).equal, false);
  });

  test("and cannot be opened, or does not take the inputs, ends with 1 and says why", async () => {
    for (const [path, given, refused] of [
      [file("broken.onnx", half.subarray(0, half.length - 20)), inputs, "MODEL_REFUSED"],
      [file("words.onnx", "no model"), inputs, "MODEL_REFUSED"],
      [halfFile, file("wide.json", { x: [[1, 2]] }), /^(?:INPUT_REFUSED|MODEL_FAILED)$/],
      [halfFile, file("named.json", { z: [[1]] }), "INPUT_REFUSED"],
    ] as const) {
      const { code, stdout } = await check(path, "--inputs", given, "--expect", expect);
      assert.equal(code, 1);
      const answer = JSON.parse(stdout) as { equal: boolean; refused: { code: string; message: string } };
      assert.equal(answer.equal, false);
      assert.match(answer.refused.code, typeof refused === "string" ? new RegExp(`^${refused}$`) : refused);
      assert.ok(answer.refused.message.length > 10, answer.refused.message);
      const terminal = await runOnTerminal(["models", "check", path, "--inputs", given, "--expect", expect], { NO_COLOR: "1" });
      assert.deepEqual([terminal.code, terminal.stdout], [1, ""]);
      assert.ok(terminal.stderr.includes(answer.refused.code), terminal.stderr);
    }
  });

  test("without inputs, or with a tolerance that is none, ends with 2", async () => {
    assert.equal((await check(halfFile, "--inputs", inputs)).code, 2);
    assert.equal((await check("--inputs", inputs, "--expect", expect)).code, 2);
    assert.equal((await check(halfFile, "--inputs", inputs, "--expect", expect, "--tolerance", "-1")).code, 2);
  });
});
