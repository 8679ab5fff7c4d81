/** `tidemark node` in its two profiles: what it says of them at its start, and what becomes of a job whose code changed. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, type TestContext, test } from "node:test";
import { runPiped, startCli } from "../support/cli-run.ts";
import { startTestNats } from "../support/nats.ts";
import { shardsOf } from "../support/node-process.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "tidemark-profile-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const nats = await startTestNats({ after }, { logs: ["counted"] });

/** An app of one actor; `code` is what makes one differ from another. */
function appOf(version: number, code: string, name = "counted"): string {
  const app = join(folder, "app/app.ts");
  mkdirSync(join(folder, "app"), { recursive: true });
  writeFileSync(join(folder, "app/package.json"), '{ "type": "module" }');
  writeFileSync(
    app,
    `import { actor, job, stream, Type } from ${JSON.stringify(join(ROOT, "index.ts"))};
const counted = actor("counted", { version: ${version}, in: { it: stream("counted.it", { schema: Type.Unknown() }) }, on: { it() { ${code} } } });
export default job("${name}", { log: "counted", actors: [counted] });
`,
  );
  return app;
}

/** Started, and ended once its shards are what they will be. */
async function runNode(t: TestContext, app: string, ...options: readonly string[]) {
  const env = { TIDEMARK_NATS_URL: nats.url, TIDEMARK_DATA_DIR: join(folder, "data"), TIDEMARK_HTTP_PORT: "0", TIDEMARK_PARTITIONS: "1" };
  const node = startCli(t, ["node", app, ...options], { ...env, TIDEMARK_WORKERS: "1", TIDEMARK_ALLOW_SINGLE_REPLICA: "on" });
  await node.saying("serves http");
  const [, url = ""] = /serves (http:\S+)/.exec(node.said.stderr)!;
  let shards = await shardsOf(url);
  while (shards[0]?.status === "starting") shards = await shardsOf(url);
  node.child.kill("SIGTERM");
  return { shard: shards[0]!, ...(await node.ended) };
}

suite("a node", { timeout: 60_000 }, () => {
  test("says at its start in development, once, that changed code deletes, and deletes nothing in production", async (t) => {
    const told = /profile development: a job that was changed deletes its outputs and state.*--profile production refuses it\n/g;
    const first = await runNode(t, appOf(1, ""), "--profile", "development");
    assert.deepEqual([first.shard.status, first.stderr.match(told)?.length], ["running", 1]);
    assert.doesNotMatch((await runNode(t, appOf(1, ""), "--profile", "production")).stderr, told);

    for (const [version, code] of [
      [1, "CODE_VERSION_UNCHANGED"],
      [2, "CODE_UNAVAILABLE"],
    ] as const) {
      const { shard, stderr } = await runNode(t, appOf(version, "void 0;"), "--profile", "production");
      assert.deepEqual([shard.status, shard.error?.code], ["halted", code]);
      assert.match(stderr, /did not start: .*let that (build|one) hand over with `tidemark upgrade`/);
    }
    // What both codes advise: the build that ran before, or another name on the same log.
    for (const app of [() => appOf(1, ""), () => appOf(2, "void 0;", "counted-v2"), () => appOf(1, "")])
      assert.equal((await runNode(t, app(), "--profile", "production")).shard.status, "running");
  });

  test("knows two profiles", async () => {
    const { code, stderr } = await runPiped(["node", "--profile", "prod"]);
    assert.equal(code, 2);
    assert.match(stderr, /--profile "prod": write development or production/);
  });
});

test("`npm start` of a new project runs in production", () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "template/package.json"), "utf8")) as { scripts: Record<string, string> };
  assert.equal(scripts.start, "tidemark node app.ts --profile production");
});
