/** Pages of outputs over the shards of a job, on streams of a real server. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { readCursor } from "../../api/http/cursor.ts";
import { isOutputCursor, readPage } from "../../api/http/outputs.ts";
import { firstSlotMap } from "../../runtime/log/slot-map.ts";
import { openNatsOutputStream } from "../../runtime/outputs/nats-output-stream.ts";
import { OutputReader } from "../../runtime/outputs/output-reader.ts";
import { publishAll, sampleOutputs } from "../outputs/sample-outputs.ts";
import echo from "../support/echo.ts";
import { startTestNats } from "../support/nats.ts";

const nats = await startTestNats({ after });
const nc = await connect({ servers: nats.url });
after(() => nc.close());
const stream = await openNatsOutputStream(nc, "echo", 0);
await openNatsOutputStream(nc, "echo", 1);
const outputs = sampleOutputs("echo", 30);
const node = { jobs: [{ job: echo, map: firstSlotMap(2), sources: new Map() }], outputs: new OutputReader(await jetstreamManager(nc)) };

async function page(limit: number, next?: string | null) {
  const cursor = next === null || next === undefined ? undefined : readCursor(next, isOutputCursor);
  const { items, next: following } = await readPage(node, {}, limit, cursor);
  return { ids: items.map((item) => (item as { id: string }).id), next: following };
}
const ids = (from: number, to: number) => outputs.slice(from - 1, to).map(({ k }) => `echo.0.${k}`);

test("a cursor follows outputs that came behind its page", async () => {
  await publishAll(stream, outputs.slice(0, 10));
  const first = await page(10);
  assert.deepEqual(first.ids, ids(1, 10));
  assert.notEqual(first.next, null);
  assert.deepEqual((await page(10, first.next)).ids, []);
  await publishAll(stream, outputs.slice(0, 25));
  const second = await page(10, first.next);
  assert.deepEqual(second.ids, ids(11, 20));
  assert.deepEqual((await page(10, second.next)).ids, ids(21, 25));
});

test("what Tidemark did not write is left out, and what comes behind it is not", async () => {
  await publishAll(stream, outputs);
  await nc.request("echo.out.0.key.echo.seen", '{"id":"echo.0.31"}', { timeout: 5_000 });
  const before = await page(1_000);
  assert.deepEqual([before.ids, before.next], [ids(1, 30), null]);
  const paged: string[] = [];
  for (let next: string | null | undefined; next !== null; ) {
    const part = await page(7, next);
    paged.push(...part.ids);
    next = part.next;
  }
  assert.deepEqual(paged, ids(1, 30));
});
