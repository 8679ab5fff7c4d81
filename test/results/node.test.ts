/**
 * A real node whose calls have answers of megabytes: the log carries which they are, everything that folds it gives the same,
 * a kill between storing a result and appending its entry changes nothing, and trimming lets go of what no entry names.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { storedSubject } from "../../actors/fold/subject.ts";
import { askStream, streamInfo } from "../../runtime/log/jetstream-api.ts";
import { type EventPayload, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { storedHistory } from "../../runtime/replay/stored-history.ts";
import { YOUNG_MS } from "../../runtime/results/bounds.ts";
import { clearResults } from "../../runtime/results/result-garbage.ts";
import { DirectoryBlobs } from "../../runtime/snapshots/blobs/directory-blobs.ts";
import { allOutputs } from "../support/api-node.ts";
import { runCli, runPiped } from "../support/cli-run.ts";
import { assertEqualsFreshFold } from "../support/crash-run.ts";
import { cloudEvent, type ReadOutput } from "../support/entries.ts";
import { measuredJob, type Reports, reportOf, startReports } from "../support/measured.ts";
import { startTestNats } from "../support/nats.ts";
import { getJson, NodeProcess, shardsOf, untilShards } from "../support/node-process.ts";
import { memoryResults, natsResults } from "../support/result-places.ts";

const APP = new URL("../support/measured-app.ts", import.meta.url).pathname;
const BOUNDED = { timeout: 240_000 };
const MAX_CHARS = 3_000_000;

interface World {
  readonly server: Reports;
  readonly nc: NatsConnection;
  readonly natsUrl: string;
  readonly log: NatsPartitionLog;
  start(env?: Readonly<Record<string, string>>): NodeProcess;
  order(chars: readonly number[], fails?: boolean): Promise<void>;
  /** Names of what lies beside the log. */
  stored(): Promise<readonly string[]>;
}

async function world(t: TestContext): Promise<World> {
  const server = await startReports(t);
  const nats = await startTestNats(t, { logs: ["orders"] });
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const folder = mkdtempSync(join(tmpdir(), "tidemark-results-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const place = natsResults(nc);
  let orders = 0;
  return {
    server,
    nc,
    natsUrl: nats.url,
    log: new NatsPartitionLog(nc, "orders", 0),
    start(env = {}) {
      const settings = { TIDEMARK_PARTITIONS: "1", TIDEMARK_SNAPSHOT_EVERY: "0s", REPORT_URL: server.url, ...env };
      const node = new NodeProcess({ app: APP, natsUrl: nats.url, dataDir: join(folder, "data"), env: settings });
      t.after(() => node.kill());
      return node;
    },
    async order(chars, fails = false) {
      const publisher = openLogPublisher(nc, "orders", (await readSlotMap(nc, "orders"))!);
      const event = { id: `o${++orders}`, type: "order.placed", key: "ann", time: Date.now(), data: { chars, fails } };
      await publisher.publish("ann", cloudEvent(event) as EventPayload);
      publisher.close();
    },
    stored: async () => (await (await place()).blobs.list("results/orders-0/")).map(({ name }) => name),
  };
}

/** So many outputs are stored, and no call waits. */
async function untilAnswered(node: NodeProcess, outputs: number): Promise<void> {
  await untilShards(await node.ready, ([shard]) => shard!.outputsStored >= outputs && shard!.pendingCalls === 0 && shard!.lag === 0);
}

async function charsOut(node: NodeProcess): Promise<unknown[]> {
  const outputs = await allOutputs<ReadOutput>(await node.ready, "&type=order.measured");
  return outputs.map(({ data }) => data.chars).sort((a, b) => Number(a) - Number(b));
}

async function operation(node: NodeProcess, path: string, body: object): Promise<unknown> {
  const url = await node.ready;
  const answer = await fetch(`${url}${path}`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
  assert.equal(answer.status, 202, await answer.clone().text());
  let state = (await answer.json()) as { readonly id: string; readonly status: string; readonly result?: unknown };
  while (state.status === "running") state = await getJson(`${url}/v1/operations/${state.id}`);
  assert.equal(state.status, "succeeded", JSON.stringify(state));
  return state.result;
}

interface Item {
  readonly kind: string;
  readonly outcome?: { readonly output: unknown };
}

/** The first of its kind, as soon as it is committed. */
async function itemOf(url: string, kind: string): Promise<Item> {
  for (;;) {
    const { items } = await getJson<{ readonly items: readonly Item[] }>(`${url}/v1/actors/order/ann/timeline?state=true`);
    const found = items.find((item) => item.kind === kind);
    if (found !== undefined) return found;
  }
}

/** A test that fails is not to print megabytes. */
function hashOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

async function bound(nc: NatsConnection, maxBytes: number): Promise<void> {
  const { config } = await streamInfo(nc, "orders-0");
  await askStream(nc, "orders-0", "STREAM.UPDATE.orders-0", { ...config, max_bytes: maxBytes });
}

suite("a node whose calls have large answers", () => {
  test("is killed between storing one and appending its entry: the call is made again, and nothing is used twice", BOUNDED, async (t) => {
    const { server, nc, natsUrl, log, start, order, stored } = await world(t);
    const first = start();
    await first.ready;
    await order([10, 300_000, MAX_CHARS]);
    await untilAnswered(first, 3);
    assert.equal((await stored()).length, 2);
    const { state, config } = await streamInfo(nc, "orders-0");
    assert(state.bytes < 20_000, `${state.bytes} bytes`);

    server.hold();
    await order([700_000]);
    while (server.held === 0) await new Promise(setImmediate);
    // From here on the log takes nothing.
    await bound(nc, (await streamInfo(nc, "orders-0")).state.bytes);
    const entries = (await log.bounds()).lastSequence;
    server.letGo();
    while ((await stored()).length < 3) await new Promise(setImmediate);
    await first.kill();
    assert.equal((await log.bounds()).lastSequence, entries);
    await bound(nc, config.max_bytes);

    const second = start();
    await untilAnswered(second, 4);
    assert.deepEqual(await charsOut(second), [10, 300_000, 700_000, MAX_CHARS]);
    const again = server.seen.filter(({ path }) => path.includes("chars=700000")).map(({ headers }) => headers["idempotency-key"]);
    assert.deepEqual([again.length, new Set(again).size], [2, 1]);
    // The one that no entry names, and the one that counts.
    assert.equal((await stored()).length, 4);

    const url = await second.ready;
    const verified = await runPiped(["verify", "--json", "--url", url]);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    const replayed = await runCli(["replay", "orders", APP, "--json"], { TIDEMARK_NATS_URL: natsUrl, REPORT_URL: server.url });
    const { diff } = JSON.parse(replayed.stdout) as { readonly diff: object };
    assert.deepEqual([replayed.code, diff], [0, { ...diff, equal: 4, changed: 0, added: 0, missing: 0 }]);
    assert.equal(await assertEqualsFreshFold(nc, measuredJob(server.url), 1), 4);
    const cleared = { name: "orders", partition: 0, log, now: Date.now() + YOUNG_MS };
    const { blobs } = await natsResults(nc)();
    assert.equal(await clearResults(blobs, cleared, new AbortController().signal), 1);
    assert.equal(await clearResults(blobs, cleared, new AbortController().signal), 0);
    assert.equal(await assertEqualsFreshFold(nc, measuredJob(server.url), 1), 4);
  });

  test("shows them as any other, puts a failed one back, and goes on where a log is trimmed", BOUNDED, async (t) => {
    const { nc, log, start, order, stored } = await world(t);
    let node = start();
    await node.ready;
    await order([400_000], true);
    await untilAnswered(node, 1);
    let url = await node.ready;
    const result = await itemOf(url, "result");
    assert.equal(hashOf(result.outcome?.output), hashOf({ report: reportOf(400_000) }));
    const [letter] = (await getJson<{ items: readonly { readonly id: string }[] }>(`${url}/v1/dead-letters`)).items;
    const explained = await getJson<{ readonly cause: { readonly outcome: { readonly output: unknown } } }>(
      `${url}/v1/outputs/${letter!.id}/explain`,
    );
    assert.equal(hashOf(explained.cause.outcome.output), hashOf({ report: reportOf(400_000) }));
    assert.equal(await node.stop(), 0);

    // The handler is mended by its surroundings alone, so the build is the same.
    node = start({ REPORT_FAILS: "never" });
    url = await node.ready;
    const put = await fetch(`${url}/v1/dead-letters/${letter!.id}/redrive`, { method: "POST" });
    assert(put.ok, await put.text());
    await untilShards(url, ([shard]) => shard!.outputsStored >= 3 && shard!.lag === 0);
    assert.deepEqual(await charsOut(node), [400_000]);
    const { redrives } = await getJson<{ readonly redrives: readonly unknown[] }>(`${url}/v1/dead-letters/${letter!.id}`);
    assert.equal(redrives.length, 1);
    // Of the result and of the redrive, which was stored anew.
    assert.equal((await stored()).length, 2);

    await operation(node, "/v1/snapshots", {});
    await order([500_000, 90_000]);
    await untilAnswered(node, 5);
    const before = await stored();
    assert.equal(before.length, 4);
    const trimmed = (await operation(node, "/v1/logs/orders/trim", { keep: "0s" })) as { readonly results: number };
    assert.equal(trimmed.results, 0);
    const { blobs } = await natsResults(nc)();
    const cleared = { name: "orders", partition: 0, log, now: Date.now() + YOUNG_MS };
    assert.equal(await clearResults(blobs, cleared, new AbortController().signal), 2);
    assert.equal(await node.stop(), 0);
    rmSync(join(node.dataDir, "shards"), { recursive: true });
    node = start({ REPORT_FAILS: "never" });
    await untilAnswered(node, 5);
    assert.match(node.log, /restored up to entry/);
    assert.deepEqual((await stored()).length, 2);
    assert.notEqual(await log.lastOn(storedSubject("orders", 0, "orders")), undefined);
    const verified = await runPiped(["verify", "--json", "--url", await node.ready]);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  });

  test("halts with RESULT_CONTENT where another place is named, and goes on when the results were copied there", BOUNDED, async (t) => {
    const { nc, server, start, order } = await world(t);
    const places = mkdtempSync(join(tmpdir(), "tidemark-places-"));
    t.after(() => rmSync(places, { recursive: true, force: true }));
    const placeOf = (name: string) => ({ TIDEMARK_SNAPSHOTS: `dir:${join(places, name)}` });
    const first = start(placeOf("old"));
    await first.ready;
    await order([400_000, 20]);
    await untilAnswered(first, 2);
    assert.equal(await first.stop(), 0);
    rmSync(join(first.dataDir, "shards"), { recursive: true });

    const second = start(placeOf("new"));
    const url = await second.ready;
    let [shard] = await shardsOf(url);
    while (shard!.status !== "halted") [shard] = await shardsOf(url);
    assert.equal(shard!.error?.code, "RESULT_CONTENT");
    assert.match(second.log, /a result is waited for: RESULT_CONTENT/);
    assert.equal(await second.stop(), 0);

    cpSync(join(places, "old", "results"), join(places, "new", "results"), { recursive: true });
    const third = start(placeOf("new"));
    await untilAnswered(third, 2);
    assert.deepEqual(await charsOut(third), [20, 400_000]);
    assert.equal(await third.stop(), 0);
    const blobs = await DirectoryBlobs.open(join(places, "new"));
    const { entries, ...history } = await storedHistory(nc, measuredJob(server.url), 0, 1, memoryResults(blobs));
    assert.equal(foldHistory({ ...history, entries }).outputs.length, 2);
  });
});
