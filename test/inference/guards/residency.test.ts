/** Which endpoints may have which data; and that of one that may not, nothing goes out. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ResidencyGuard } from "../../../inference/guards/residency-guard.ts";
import { answerOf, NEVER, requestOf, Scripted, said } from "./scripted-inferrer.ts";

const RESIDENCIES = new Map([
  ["eu", new Set(["eu-1", "eu-2"])],
  ["nowhere", new Set<string>()],
]);

suite("data", () => {
  for (const [residency, region, allowed] of [
    [undefined, "us-1", true],
    [undefined, undefined, true],
    ["eu", "eu-2", true],
    ["eu", "us-1", false],
    ["eu", undefined, false],
    ["nowhere", "eu-1", false],
    ["unknown", "eu-1", false],
    ["eu-1", "eu-1", false],
    ["constructor", "eu-1", false],
  ] as const) {
    const where = region === undefined ? "an endpoint without a region" : `an endpoint in ${region}`;
    test(`${residency === undefined ? "without a tag" : `with the tag ${residency}`} ${allowed ? "goes" : "does not go"} to ${where}`, async () => {
      const inner = new Scripted(answerOf(1));
      const request = residency === undefined ? requestOf() : requestOf({ residency });
      const inference = await new ResidencyGuard(inner, { region, residencies: RESIDENCIES }).infer(request, NEVER);
      assert.deepEqual([said(inference), inner.asked.length], allowed ? ["1", 1] : ["RESIDENCY", 0]);
    });
  }
});
