/** docs/inference.md says what is so: its codes are those of the code, its servings and settings such as are taken. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { INFERENCE_FAILURES } from "../../inference/failures.ts";
import { readModelDraft } from "../../inference/model-record.ts";
import { settingsReason } from "../../inference/model-settings.ts";
import { readOnnxServing } from "../../inference/onnx/onnx-serving.ts";
import { readRemoteServing } from "../../inference/remote/remote-serving.ts";

const page = readFileSync(new URL("../../docs/inference.md", import.meta.url), "utf8");
const section = (heading: string) => page.split(/^##+ /m).find((text) => text.startsWith(heading))!;
const jsonBlocks = [...page.matchAll(/^```json\n([\s\S]*?)^```/gm)].map(([, text]) => JSON.parse(text!) as Record<string, unknown>);
/** Members that a check knows, as its refusal of a stranger names them. */
const knownOf = (refused: unknown): string[] => {
  const named = /: ([\w, ]+) are(?: known)?$/.exec(String(refused))?.[1] ?? "";
  assert.ok(named !== "", String(refused));
  return named.split(", ");
};

test("each code of a failure is on the page with what it means, and no other", () => {
  const rows = [...section("Codes of failures").matchAll(/^\| `([A-Z_]+)` \| (.+) \|$/gm)].map(([, code, meaning]) => [code, meaning]);
  assert.deepEqual(Object.fromEntries(rows), INFERENCE_FAILURES);
});

test("the descriptions and servings of the page are taken", () => {
  const drafts = jsonBlocks.filter((block) => "serving" in block);
  const servings = jsonBlocks.filter((block) => "kind" in block);
  assert.ok(drafts.length > 0 && servings.length > 0);
  for (const draft of drafts) assert.notEqual(typeof readModelDraft(draft), "string", String(readModelDraft(draft)));
  for (const serving of servings) assert.notEqual(typeof readRemoteServing(serving), "string", String(readRemoteServing(serving)));
});

test("every member of a description, of a serving that runs here and of the settings is named", () => {
  const stranger = { stranger: 1 };
  const onnx = section("onnx");
  for (const [known, text] of [
    [knownOf(readModelDraft(stranger)), section("The description")],
    [knownOf(readOnnxServing({ kind: "onnx", ...stranger })), `${onnx} \`kind\``],
    [knownOf(readOnnxServing({ kind: "onnx", inputs: { x: stranger } })), onnx],
    [knownOf(readOnnxServing({ kind: "onnx", outputs: { y: stranger } })), onnx],
  ] as const)
    for (const name of known) assert.ok(text.includes(`\`${name}\``), name);
  const around = section("What surrounds a model");
  const whole = {
    fallback: { model: "m", version: 1 },
    fallbackReserveMs: 100,
    policy: "degrade",
    places: 1,
    rates: { model: { perSecond: 1, burst: 1 } },
    cacheMs: 1,
    semantic: { field: "f", embedding: { model: "e", version: 1 }, embeddingField: "text", threshold: 0.9 },
  };
  assert.equal(settingsReason(whole), undefined);
  for (const name of Object.keys(whole)) assert.match(around, new RegExp(`\`${name}\\b`), name);
});
