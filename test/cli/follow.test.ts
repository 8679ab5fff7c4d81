/** `tidemark outputs --follow` over a node that dies and comes back. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { ApiClient } from "../../api/cli/client/api-client.ts";
import { ApiProblem } from "../../api/cli/client/api-problem.ts";
import { followOutputs } from "../../api/cli/client/follow.ts";
import { SHIPPED_APP } from "../../runtime/own-package.ts";
import { runPiped, startCli } from "../support/cli-run.ts";
import { cloudEvent } from "../support/entries.ts";
import { freePort } from "../support/free-port.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess } from "../support/node-process.ts";
import { wide } from "../support/wide.ts";

const dataDir = mkdtempSync(join(tmpdir(), "tidemark-follow-"));
const nats = await startTestNats({ after }, { logs: ["meter"] });
const port = await freePort();
const startNode = () => new NodeProcess({ app: SHIPPED_APP, natsUrl: nats.url, dataDir, env: { TIDEMARK_HTTP_PORT: String(port) } });
let node = startNode();
after(async () => {
  await node.kill();
  rmSync(dataDir, { recursive: true, force: true });
});
const url = await node.ready;

/** Each goes to quarantine, and so is an output. */
async function putOut(from: number, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, i) =>
    JSON.stringify(cloudEvent({ id: `e-${from + i}`, key: `k-${i % 7}`, type: "meter.unknown" })),
  );
  const { code, stderr } = await runPiped(["publish", "meter", "--url", url], {}, lines.join("\n"));
  assert.equal(code, 0, stderr);
}

interface Quarantined {
  readonly id: string;
  readonly type: string;
}

test("a cursor that is ahead of outputs which began anew is said to be a job that was folded anew", async () => {
  let asked = 0;
  const api = {
    url,
    async events() {
      if (asked++ === 0) return [{ id: "c", event: "e", data: "{}" }];
      throw new ApiProblem({ status: 400, code: "BAD_REQUEST", detail: "cursor: meter/0 has 1 outputs, fewer than it says." });
    },
  } as unknown as ApiClient;
  const pages: unknown[] = [];
  await assert.rejects(
    async () => {
      for await (const page of followOutputs(api, {}, new AbortController().signal, () => {})) pages.push(page);
    },
    { status: 400, detail: "The job was folded anew, and its outputs begin anew: give the command again." },
  );
  assert.equal(pages.length, 1);
});

for (const from of ["start", "end"] as const) {
  (from === "start" ? test : wide)(
    `from the ${from}, each output is shown once, though the node is killed twice meanwhile`,
    { timeout: 120_000 },
    async (t) => {
      const listed = async () =>
        (await runPiped(["outputs", "--url", url])).stdout
          .trim()
          .split("\n")
          .filter((line) => line !== "");
      const before = await listed();
      const shown = from === "start" ? before.length + 90 : 90;
      const following = startCli(t, ["outputs", "--follow", "--from", from, "--limit", String(shown), "--url", url]);
      await following.saying("following http");
      await putOut(before.length, 30);
      for (const more of [30, 60]) {
        await node.kill();
        node = startNode();
        await node.ready;
        await putOut(before.length + more, 30);
      }
      const { code, stdout } = await following.ended;
      const ids = stdout
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as Quarantined).id);
      assert.equal(code, 0);
      assert.equal(new Set(ids).size, shown);
      const wanted = (await listed())
        .map((line) => (JSON.parse(line) as Quarantined).id)
        .filter((id) => from === "start" || !before.some((line) => line.includes(`"${id}"`)));
      assert.deepEqual(ids.sort(), wanted.sort());
    },
  );
}
