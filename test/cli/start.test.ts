/** `tidemark start` ends in order, however it is told to: nothing that it has started stays behind. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { runningServerUrl } from "../../runtime/node/nats-server.ts";
import { runPiped, startCli } from "../support/cli-run.ts";
import { cloudEvent } from "../support/entries.ts";

/** Lines of all samples. */
const SAMPLE_EVENTS = 14_848;
const dataDir = mkdtempSync(join(tmpdir(), "tidemark-start-"));
after(() => rmSync(dataDir, { recursive: true, force: true }));
const env = { TIDEMARK_DATA_DIR: dataDir, TIDEMARK_HTTP_PORT: "0", TIDEMARK_NATS_URL: "" };

test("when nobody reads its outputs any more", { timeout: 60_000 }, async (t) => {
  const running = startCli(t, ["start"], env);
  await running.saying("samples drained");
  assert.ok(runningServerUrl(join(dataDir, "nats")) !== undefined);
  // It must have written all of them: what a pipe still holds would find nobody at once.
  await running.saying("look at http");
  const [, summary = ""] = /samples drained: (.*)/.exec(running.said.stderr) ?? [];
  const outputs = Object.values((JSON.parse(summary) as { outputs: Record<string, number> }).outputs).reduce(
    (sum, count) => sum + count,
    0,
  );
  await running.until("all outputs", ({ stdout }) => stdout.split("\n").length > outputs);
  running.child.stdout.destroy();
  // As with any pipe it is the next write that finds nobody: this goes to quarantine, and so is an output.
  const [, url = ""] = /look at (http:\S+?)\/v1/.exec(running.said.stderr) ?? [];
  const event = JSON.stringify(cloudEvent({ type: "meter.unknown" }));
  assert.equal((await runPiped(["publish", "meter", "--url", url], {}, event)).code, 0);
  assert.equal((await running.ended).code, 0);
  assert.equal(runningServerUrl(join(dataDir, "nats")), undefined);
});

test("at Ctrl-C, with the summary as its last line", { timeout: 60_000 }, async (t) => {
  const running = startCli(t, ["start"], env);
  await running.saying("samples drained");
  running.child.kill("SIGINT");
  const { code, stdout } = await running.ended;
  assert.equal(code, 0);
  assert.equal((JSON.parse(stdout.trim().split("\n").at(-1)!) as { published: number }).published, SAMPLE_EVENTS);
  assert.equal(runningServerUrl(join(dataDir, "nats")), undefined);
});

suite("with tokens for the API", () => {
  const tokens = join(dataDir, "tokens");
  const withTokens = { ...env, TIDEMARK_API_TOKENS: tokens };
  before(() => {
    const hash = createHash("sha256").update("a-viewer").digest("hex");
    writeFileSync(tokens, `start:viewer:${hash}\n`, { mode: 0o600 });
  });

  test("and one for itself it follows its node to the end of the samples", { timeout: 60_000 }, async (t) => {
    const { code, stdout, stderr } = await startCli(t, ["start", "--exit"], { ...withTokens, TIDEMARK_TOKEN: "a-viewer" }).ended;
    assert.equal(code, 0, stderr);
    assert.equal((JSON.parse(stdout.trim().split("\n").at(-1)!) as { published: number }).published, SAMPLE_EVENTS);
  });

  for (const [what, token, says] of [
    ["none", "", /CONFIG_INVALID: TIDEMARK_API_TOKENS is set, .* give one of the role viewer in TIDEMARK_TOKEN\./],
    ["a wrong one", "another", /UNAUTHENTICATED: The token is not one of this node's\. Give a token with .*TIDEMARK_TOKEN\./],
  ] as const) {
    test(`and ${what} for itself it says so and ends, instead of waiting for ever`, { timeout: 60_000 }, async (t) => {
      const { code, stdout, stderr } = await startCli(t, ["start", "--exit"], { ...withTokens, TIDEMARK_TOKEN: token }).ended;
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, says);
      assert.equal(runningServerUrl(join(dataDir, "nats")), undefined);
    });
  }
});
