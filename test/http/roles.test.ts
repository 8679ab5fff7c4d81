/** Every route of a node that asks for tokens, taken from its own document: who may call it, and who may not. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import type { OpenApiDocument } from "../../api/http/openapi.ts";
import { ROLES, type Role } from "../../api/http/route.ts";
import job from "../support/meter-hold.ts";
import { startTestNats } from "../support/nats.ts";
import { getJson, NodeProcess } from "../support/node-process.ts";

const APP = new URL("../support/meter-hold.ts", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "tidemark-roles-"));
const tokenFile = join(folder, "tokens");
const nats = await startTestNats({ after }, { logs: [job.log] });

const tokenOf = (role: Role) => `${role}-0123456789abcdef`;
const lineOf = (role: Role) => `${role}:${role}:${createHash("sha256").update(tokenOf(role)).digest("hex")}\n`;
writeFileSync(tokenFile, ROLES.map(lineOf).join(""), { mode: 0o600 });

function start(env: Readonly<Record<string, string>>, dataDir: string): NodeProcess {
  const node = new NodeProcess({ app: APP, natsUrl: nats.url, dataDir: join(folder, dataDir), env });
  after(() => node.kill());
  return node;
}

after(() => rmSync(folder, { recursive: true, force: true }));

suite("a node with tokens, listening to all of the network", async () => {
  const node = start({ TIDEMARK_API_TOKENS: tokenFile, TIDEMARK_HTTP_HOST: "0.0.0.0" }, "data");
  const url = (await node.ready).replace("0.0.0.0", "127.0.0.1");
  const document = await getJson<OpenApiDocument>(`${url}/openapi.json`);

  /** Stands for every parameter: what there is none of, so that nothing is changed. */
  const ask = async (method: string, path: string, role?: Role): Promise<number> => {
    const headers = role === undefined ? {} : { authorization: `Bearer ${tokenOf(role)}` };
    const answer = await fetch(`${url}${path.replaceAll(/\{\w+\}/g, "none")}`, { method, headers });
    await answer.body?.cancel();
    // There are more routes than one address may fail at in one go: the answer says when it may again.
    const wait = answer.status === 429 ? Number(answer.headers.get("retry-after")) : 0;
    if (wait === 0) return answer.status;
    await new Promise((resolve) => {
      setTimeout(resolve, wait * 1_000);
    });
    return await ask(method, path, role);
  };

  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [name, operation] of Object.entries(methods)) {
      const method = name.toUpperCase();
      const needed = operation["x-role"];
      if (needed === "public") {
        test(`${method} ${path} needs none`, async () => assert(![401, 403].includes(await ask(method, path))));
        continue;
      }
      test(`${method} ${path} needs a token of at least a ${needed}`, async () => {
        assert.equal(await ask(method, path), 401);
        for (const role of ROLES) {
          const status = await ask(method, path, role);
          const may: boolean = ROLES.indexOf(role) >= ROLES.indexOf(needed);
          assert.equal(status !== 401 && status !== 403, may, `${role}: ${status}`);
        }
      });
    }
  }

  test("a token that is taken out of the file stops to work while the node runs", async () => {
    assert.equal(await ask("GET", "/v1/jobs", "viewer"), 200);
    writeFileSync(tokenFile, lineOf("admin"), { mode: 0o600 });
    while ((await ask("GET", "/v1/jobs", "viewer")) !== 401) {
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
    assert.equal(await ask("GET", "/v1/jobs", "admin"), 200);
  });
});

suite("a node does not start, and says why", () => {
  test("on all of the network without tokens", async () => {
    const node = start({ TIDEMARK_HTTP_HOST: "0.0.0.0" }, "open");
    assert.equal((await node.exited).code, 78);
    assert.match(node.log, /CONFIG_INVALID: TIDEMARK_HTTP_HOST="0\.0\.0\.0" can be reached from other machines/);
  });

  test("with a token file that has a wrong line", async () => {
    const wrong = join(folder, "wrong");
    writeFileSync(wrong, `${lineOf("admin")}ada:root:00\n`, { mode: 0o600 });
    const node = start({ TIDEMARK_API_TOKENS: wrong }, "wrong-data");
    assert.equal((await node.exited).code, 78);
    assert.match(node.log, /CONFIG_INVALID: TIDEMARK_API_TOKENS: .*wrong, line 2: the role is one of/);
  });
});
