import assert from "node:assert/strict";
import { after, test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { openNatsOutputStream } from "../../runtime/outputs/nats-output-stream.ts";
import { OutputReader } from "../../runtime/outputs/output-reader.ts";
import { startTestNats } from "../support/nats.ts";
import { publishAll, sampleOutputs } from "./sample-outputs.ts";

const nats = await startTestNats({ after });
const nc = await connect({ servers: nats.url });
after(() => nc.close());
const reader = new OutputReader(await jetstreamManager(nc));

async function readAll(job: string, query: { key?: string; type?: string; limit: number }): Promise<number[]> {
  const sequences: number[] = [];
  for (let from: number | undefined = 1; from !== undefined; ) {
    const page = await reader.page(job, 0, { ...query, from });
    assert(page.items.length <= query.limit);
    sequences.push(...page.items.map(({ k }) => k));
    from = page.next;
  }
  return sequences;
}

test("pages follow one another without gap or overlap, whole or filtered by key and type", async () => {
  const outputs = sampleOutputs("risk", 100);
  const stream = await openNatsOutputStream(nc, "risk", 0);
  await publishAll(stream, outputs);
  await nc.request("risk.out.0.%.tidemark.quarantine", "foreign");
  const all = outputs.map(({ k }) => k);
  assert.deepEqual(await readAll("risk", { limit: 7 }), [...all, 101]);
  assert.deepEqual(await readAll("risk", { limit: 101 }), [...all, 101]);
  assert.deepEqual(await readAll("risk", { limit: 1_000 }), [...all, 101]);
  const ofKey = all.filter((k) => k % 7 === 3);
  assert.deepEqual(await readAll("risk", { limit: 4, key: "key-3" }), ofKey);
  assert.deepEqual(await readAll("risk", { limit: 9, type: "total.daily" }), all);
  assert.deepEqual(await readAll("risk", { limit: 9, type: "total" }), []);
  assert.deepEqual(await readAll("risk", { limit: 9, type: "tidemark.quarantine" }), [101]);
  assert.deepEqual(await readAll("risk", { limit: 9, key: "%" }), [101]);
  assert.deepEqual(await readAll("risk", { limit: 4, key: "key-3", type: "total.daily" }), ofKey);
  const { items } = await reader.page("risk", 0, { from: 50, limit: 1 });
  assert.deepEqual({ ...items[0]!, payload: Buffer.from(items[0]!.payload) }, outputs[49]);
});

test("large outputs make short pages, and nothing is left out", async () => {
  const outputs = sampleOutputs("large", 30, 800_000);
  await publishAll(await openNatsOutputStream(nc, "large", 0), outputs);
  const first = await reader.page("large", 0, { from: 1, limit: 100 });
  assert(first.items.length < 30);
  assert.deepEqual(
    await readAll("large", { limit: 100 }),
    outputs.map(({ k }) => k),
  );
});

test("an empty stream and a start behind the end give an empty page", async () => {
  await openNatsOutputStream(nc, "empty", 0);
  assert.deepEqual(await reader.page("empty", 0, { from: 1, limit: 10 }), { items: [], next: undefined });
  assert.deepEqual(await reader.page("risk", 0, { from: 5_000, limit: 10 }), { items: [], next: undefined });
});

test("a stream that is not there and a filter that is no token are refused", async () => {
  await assert.rejects(new OutputReader(await jetstreamManager(nc), 300).page("nowhere", 0, { from: 1, limit: 10 }), {
    code: "NATS_UNREACHABLE",
  });
  await assert.rejects(reader.page("risk", 0, { from: 1, limit: 10, key: "a.b" }), { code: "KEY_INVALID" });
  await assert.rejects(reader.page("risk", 0, { from: 1, limit: 10, type: "a.>" }), { code: "CONFIG_INVALID" });
});

test("outputs over the bytes of a page come one by one", async () => {
  const seen: number[] = [];
  for (let from: number | undefined = 1; from !== undefined; ) {
    const page = await reader.page("large", 0, { from, limit: 100, bytesMax: 10_000 });
    assert.equal(page.items.length, 1);
    seen.push(page.items[0]!.k);
    from = page.next;
  }
  assert.equal(seen.length, 30);
});
