/** An input of any length: what was sent and answered is not kept. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { ApiClient } from "../../api/cli/client/api-client.ts";
import { publish } from "../../api/cli/publish/publish-run.ts";
import { systemClock } from "../../runtime/clock.ts";

const MIB = 1024 * 1024;
const CHUNKS = 96;
const LINES = 500;
/** Two batches for each of eight lanes, a chunk or two, and what the HTTP client holds. */
const KEPT_MAX = 24 * MIB;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const server = createServer(async (request, response) => {
  let text = "";
  for await (const chunk of request) text += chunk;
  const results = (JSON.parse(text) as { id: string }[]).map(({ id }) => ({ id, key: "k", position: "0:1.0" }));
  response.setHeader("content-type", "application/json").end(JSON.stringify({ results }));
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
after(() => server.close());

function kept(): number {
  collectGarbage();
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return arrayBuffers + heapUsed;
}

test("48 MiB are published and at the end hardly more is held than at the beginning", { timeout: 120_000 }, async () => {
  const held: number[] = [];
  const padding = "x".repeat(MIB / 2 / LINES - 40);
  async function* input(): AsyncGenerator<Uint8Array> {
    for (let chunk = 0; chunk < CHUNKS; chunk++) {
      const lines = Array.from({ length: LINES }, (_, i) => JSON.stringify({ id: `${chunk}-${i}`, subject: `k${i}`, padding }));
      yield Buffer.from(`${lines.join("\n")}\n`);
      if (chunk % 16 === 15) held.push(kept());
    }
  }
  const report = await publish(input(), {
    api: new ApiClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, undefined),
    log: "meter",
    partitions: 8,
    batchEvents: 100,
    rate: undefined,
    clock: systemClock,
    signal: new AbortController().signal,
    retrying: (reason) => assert.fail(reason),
    progress: () => {},
  });
  assert.deepEqual([report.appended, report.complete], [CHUNKS * LINES, true]);
  assert.ok(held.at(-1)! - held[0]! < KEPT_MAX, held.map((bytes) => Math.round(bytes / MIB)).join(" "));
});
