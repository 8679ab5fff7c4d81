/** `tidemark start` ends in order, however it is told to: nothing that it has started stays behind. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { runningServerUrl } from "../../runtime/node/nats-server.ts";
import { runPiped, startCli } from "../support/cli-run.ts";
import { cloudEvent } from "../support/entries.ts";

const dataDir = mkdtempSync(join(tmpdir(), "tidemark-start-"));
after(() => rmSync(dataDir, { recursive: true, force: true }));
const env = { TIDEMARK_DATA_DIR: dataDir, TIDEMARK_HTTP_PORT: "0", TIDEMARK_NATS_URL: "" };

test("when nobody reads its outputs any more", { timeout: 60_000 }, async (t) => {
  const running = startCli(t, ["start"], env);
  await running.saying("samples drained");
  assert.ok(runningServerUrl(join(dataDir, "nats")) !== undefined);
  running.child.stdout.destroy();
  // As with any pipe it is the next write that finds nobody: this goes to quarantine, and so is an output.
  await running.saying("look at http");
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
  assert.equal((JSON.parse(stdout.trim().split("\n").at(-1)!) as { published: number }).published, 1_972);
  assert.equal(runningServerUrl(join(dataDir, "nats")), undefined);
});
