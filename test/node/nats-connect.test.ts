import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isTidemarkError } from "../../runtime/errors.ts";
import { connectNats, readNatsUrl } from "../../runtime/nats-connect.ts";
import { findNatsServer } from "../../runtime/node/nats-binary.ts";

test("user and password of a URL are taken out of it, percent-decoded", () => {
  assert.deepEqual(readNatsUrl("nats://runtime:p%40ss:word@host:4222"), { server: "nats://host:4222", user: "runtime", pass: "p@ss:word" });
  assert.deepEqual(readNatsUrl("tls://solo@host:4222"), { server: "tls://host:4222", user: "solo", pass: "" });
  assert.deepEqual(readNatsUrl("nats://host:4222"), { server: "nats://host:4222" });
  assert.deepEqual(readNatsUrl("host:4222"), { server: "host:4222" });
});

test("a server with accounts lets the right password in, and refuses the wrong one without telling it", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-login-"));
  const config = join(folder, "server.conf");
  writeFileSync(config, 'listen: "127.0.0.1:-1"\nauthorization { user: runtime, password: "se@cret" }\n');
  const server = spawn(findNatsServer().binary, ["-c", config], { stdio: ["ignore", "ignore", "pipe"] });
  t.after(() => {
    server.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  const host = await new Promise<string>((resolve) => {
    let said = "";
    server.stderr.on("data", (chunk: Buffer) => {
      said += String(chunk);
      const listening = /client connections on (\S+)/.exec(said);
      if (listening !== null && said.includes("Server is ready")) resolve(listening[1]!);
    });
  });
  const nc = await connectNats(`nats://runtime:se%40cret@${host}`, "test");
  assert.equal(nc.isClosed(), false);
  await nc.close();
  await assert.rejects(connectNats(`nats://runtime:wrong-one@${host}`, "test"), (error) => {
    assert(isTidemarkError(error, "NATS_UNREACHABLE"));
    assert(!error.message.includes("wrong-one"));
    return true;
  });
});
