/**
 * `tidemark start` ends in order, however it is told to: nothing that it has started stays behind. It says of the samples
 * the same in every run, also of what models answer when the samples are over.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { runningServerUrl } from "../../runtime/node/nats-server.ts";
import { runPiped, startCli } from "../support/cli-run.ts";
import { cloudEvent } from "../support/entries.ts";
import { wide } from "../support/wide.ts";

/** Lines of all samples. */
const SAMPLE_EVENTS = 14_848;
const dataDir = mkdtempSync(join(tmpdir(), "tidemark-start-"));
after(() => rmSync(dataDir, { recursive: true, force: true }));
const env = { TIDEMARK_DATA_DIR: dataDir, TIDEMARK_HTTP_PORT: "0", TIDEMARK_NATS_URL: "" };

interface Summary {
  readonly published: number;
  readonly outputs: Readonly<Record<string, number>>;
  readonly deadLetters: number;
}
/** Of the first run. */
let first: Summary;
let printed = "";

test("when nobody reads its outputs any more", { timeout: 180_000 }, async (t) => {
  const running = startCli(t, ["start"], env);
  await running.saying("samples drained");
  assert.ok(runningServerUrl(join(dataDir, "nats")) !== undefined);
  // It must have written all of them: what a pipe still holds would find nobody at once.
  await running.saying("look at http");
  const [, summary = ""] = /samples drained: (.*)/.exec(running.said.stderr) ?? [];
  first = JSON.parse(summary) as Summary;
  const outputs = Object.values(first.outputs).reduce((sum, count) => sum + count, 0);
  await running.until("all outputs", ({ stdout }) => stdout.split("\n").length > outputs);
  printed = running.said.stdout;
  const [, url = ""] = /look at (http:\S+?)\/v1/.exec(running.said.stderr) ?? [];
  // Behind the samples: what becomes of it, and what a model says of it, is in no summary of them.
  const data = { customerId: "walk-in", amount: 10, currency: "EUR", merchantId: "m", merchantCategory: "grocery" };
  const payment = JSON.stringify(cloudEvent({ type: "transaction", key: "walk-in", time: Date.now(), data }));
  assert.equal((await runPiped(["publish", "transactions", "--url", url], {}, payment)).code, 0);
  await running.until("the payment's score", ({ stdout }) => stdout.includes('"type":"transaction.scored","subject":"walk-in"'));
  running.child.stdout.destroy();
  // As with any pipe it is the next write that finds nobody: this goes to quarantine, and so is an output.
  const event = JSON.stringify(cloudEvent({ type: "meter.unknown" }));
  assert.equal((await runPiped(["publish", "meter", "--url", url], {}, event)).code, 0);
  assert.equal((await running.ended).code, 0);
  assert.equal(runningServerUrl(join(dataDir, "nats")), undefined);
});

test("having had every transaction of the sample scored by the model that ships, and each answer counted", () => {
  const { outputs, deadLetters } = first;
  assert.equal(outputs["transaction.scored"], outputs["transaction.enriched"]);
  assert.ok(outputs["tidemark.inference"]! >= outputs["transaction.scored"]!);
  assert.equal(deadLetters, 0);
  const told = printed.split("\n").filter((line) => line.includes('"type":"transaction.scored"'));
  const answers = told.map((line) => (JSON.parse(line) as { readonly data: Readonly<Record<string, unknown>> }).data);
  assert.equal(answers.length, outputs["transaction.scored"]);
  for (const { ai_model, ai_model_version, ai_error, ai_result } of answers) {
    assert.deepEqual([ai_model, ai_model_version, ai_error], ["fraud", 1, undefined]);
    assert.match(JSON.stringify(ai_result), /^\{"probability":[\d.e-]+,"verdict":"(honest|fraud)"\}$/);
  }
});

test("at Ctrl-C, with the summary as its last line, the same as in the run before", { timeout: 180_000 }, async (t) => {
  const running = startCli(t, ["start"], env);
  await running.saying("samples drained");
  running.child.kill("SIGINT");
  const { code, stdout } = await running.ended;
  assert.equal(code, 0);
  const again = JSON.parse(stdout.trim().split("\n").at(-1)!) as Summary;
  assert.equal(again.published, SAMPLE_EVENTS);
  assert.deepEqual(again, first);
  assert.equal(runningServerUrl(join(dataDir, "nats")), undefined);
});

suite("with tokens for the API", () => {
  const tokens = join(dataDir, "tokens");
  const withTokens = { ...env, TIDEMARK_API_TOKENS: tokens };
  before(() => {
    const hash = createHash("sha256").update("a-viewer").digest("hex");
    writeFileSync(tokens, `start:viewer:${hash}\n`, { mode: 0o600 });
  });

  wide("and one for itself it follows its node to the end of the samples", { timeout: 180_000 }, async (t) => {
    const { code, stdout, stderr } = await startCli(t, ["start", "--exit"], { ...withTokens, TIDEMARK_TOKEN: "a-viewer" }).ended;
    assert.equal(code, 0, stderr);
    assert.equal((JSON.parse(stdout.trim().split("\n").at(-1)!) as { published: number }).published, SAMPLE_EVENTS);
  });

  for (const [what, run, token, says] of [
    ["none", test, "", /CONFIG_INVALID: TIDEMARK_API_TOKENS is set, .* give one of the role viewer in TIDEMARK_TOKEN\./],
    ["a wrong one", wide, "another", /UNAUTHENTICATED: The token is not one of this node's\. Give a token with .*TIDEMARK_TOKEN\./],
  ] as const) {
    run(`and ${what} for itself it says so and ends, instead of waiting for ever`, { timeout: 180_000 }, async (t) => {
      const { code, stdout, stderr } = await startCli(t, ["start", "--exit"], { ...withTokens, TIDEMARK_TOKEN: token }).ended;
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, says);
      assert.equal(runningServerUrl(join(dataDir, "nats")), undefined);
    });
  }
});
