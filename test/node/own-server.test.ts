/** The nats-server of a data directory: where it listens. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { startOwnServer } from "../../runtime/node/own-server.ts";

test("where port 4222 is taken it listens on another, and serves", async (t) => {
  await takeUsualPort(t);
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-own-server-"));
  t.after(() => rmSync(dataDir, { recursive: true, force: true }));
  const { server, stop } = await startOwnServer(dataDir, ["orders"]);
  t.after(stop);
  assert.notEqual(server.port, 4222);
  const nc = await connect({ servers: server.url });
  assert.equal(nc.info?.version, server.version);
  await nc.close();
});

test("of a directory whose server is kept by another process is refused, with what that process does", async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-own-server-"));
  t.after(() => rmSync(dataDir, { recursive: true, force: true }));
  const { stop } = await startOwnServer(dataDir, ["orders"]);
  t.after(stop);
  await assert.rejects(startOwnServer(dataDir, ["orders"]), {
    code: "DATA_DIR_LOCKED",
    detail: new RegExp(`^Process ${process.pid} \\(it runs the nats-server\\), started at \\S+, holds the lock\\.$`),
  });
});

/** By this test, or by whoever has it already. */
async function takeUsualPort(t: TestContext): Promise<void> {
  const taker = createServer();
  const taken = Promise.race([once(taker, "listening"), once(taker, "error")]);
  taker.listen(4222, "127.0.0.1");
  await taken.catch((error: NodeJS.ErrnoException) => assert.equal(error.code, "EADDRINUSE"));
  t.after(() => taker.close());
}
