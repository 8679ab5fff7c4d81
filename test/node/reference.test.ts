import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import type { Job } from "../../actors/model/job.ts";
import { DAY_MS, formatInstant } from "../../actors/model/time.ts";
import { systemClock } from "../../runtime/clock.ts";
import { type EventPayload, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { awaitCopies } from "../../runtime/reference/copies.ts";
import { NatsReferenceLog } from "../../runtime/reference/reference-log.ts";
import { putRecord } from "../../runtime/reference/reference-writer.ts";
import { storedHistory, storedOutputs } from "../../runtime/replay/stored-history.ts";
import { type Verdict, verifyReplay } from "../../runtime/replay/verify-replay.ts";
import jobs from "../support/billing.ts";
import { assertEqualsFreshFold, PARTITIONS } from "../support/crash-run.ts";
import { cloudEvent, readOutputs, T0 } from "../support/entries.ts";
import { type Cleanup, startTestNats } from "../support/nats.ts";
import { NodeProcess, untilShards } from "../support/node-process.ts";
import { natsResults } from "../support/result-places.ts";

const APP = new URL("../support/billing.ts", import.meta.url).pathname;
const billing = jobs[0]!;
const KEYS = Array.from({ length: 12 }, (_, i) => `account-${i}`);

async function world(t: Cleanup) {
  const nats = await startTestNats(t, { logs: [billing.log] });
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  t.after(() => nc.close());
  const dataDir = () => {
    const path = mkdtempSync(join(tmpdir(), "tidemark-reference-"));
    t.after(async () => rmSync(path, { recursive: true, force: true }));
    return path;
  };
  const start = (dir: string): NodeProcess => {
    const node = new NodeProcess({ app: APP, natsUrl: nats.url, dataDir: dir });
    t.after(() => node.kill());
    return node;
  };
  /** One event for each account, with the price of `tariff` at `time`. */
  const use = async (id: string, tariff: string, time: number) => {
    const publisher = openLogPublisher(nc, billing.log, (await readSlotMap(nc, billing.log))!);
    await Promise.all(
      KEYS.map((key) =>
        publisher.publish(key, cloudEvent({ id, key, type: "billing.usage", time, data: { tariff, units: 1 } }) as EventPayload),
      ),
    );
    publisher.close();
  };
  const outputsOf = async (job: string, type: string) => {
    const outputs = [];
    for (let partition = 0; partition < PARTITIONS; partition++) outputs.push(...readOutputs(await storedOutputs(nc, job, partition)));
    return outputs.filter((output) => output.type === type);
  };
  return { nats, nc, dataDir, start, use, outputsOf };
}

/** Each job has seen so many events, and its outputs are stored. */
async function caughtUp(node: NodeProcess, events: number): Promise<void> {
  await untilShards(await node.ready, (shards) =>
    jobs.every(({ name }) => {
      const own = shards.filter(({ job }) => job === name);
      const seen = own.reduce((sum, { counts }) => sum + (counts.in ?? 0), 0);
      return seen >= events && own.every(({ outputs, outputsStored }) => outputsStored >= outputs);
    }),
  );
}

/** What the routes answer, all of it. */
interface Answer {
  readonly code?: string;
  readonly written: boolean;
  readonly dryRun: boolean;
  readonly sequence: number | null;
  readonly positions: readonly string[];
  readonly missing: readonly number[];
  readonly items: readonly { readonly id: string; readonly version: number }[];
  readonly next: string | null;
}

async function call(url: string, method: string, body?: unknown) {
  const answer = await fetch(url, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  return { status: answer.status, body: (await answer.json()) as Answer };
}

suite("two nodes that run two jobs on one log", () => {
  test("bring every record to each partition in one order, killed again and again", { timeout: 180_000 }, async (t) => {
    const { nc, nats, dataDir, start, use, outputsOf } = await world(t);
    const dirs = [dataDir(), dataDir()];
    const nodes = [start(dirs[0]!), start(dirs[1]!)];
    await Promise.all(nodes.map((node) => node.ready));
    const stream = new NatsReferenceLog(nc, billing.log);
    const tables = [billing.tables.get("tariffs")!];
    let source = 0;
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 25; i++) {
        const effectiveFrom = formatInstant(T0 + round * DAY_MS);
        const draft = { version: round + 1, effectiveFrom, data: { price: round * 100 + i } };
        source = (await putRecord(stream, tables, { log: billing.log, table: "tariffs", id: `t${i}` }, draft)).sequence!;
        if (i !== 5 + round * 3) continue;
        // In the middle of copying; not at the same moment of it in any two rounds.
        const dead = round % 2;
        await nodes[dead]!.kill();
        if (round === 3) await nats.restart();
        nodes[dead] = start(dirs[dead]!);
        if (round === 4) await nodes[dead]!.ready;
      }
    }
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => new NatsPartitionLog(nc, billing.log, partition));
    await Promise.all(nodes.map((node) => node.ready));
    const copies = await awaitCopies({ log: billing.log, table: "tariffs", source, partitions, clock: systemClock, waitMs: 60_000 });
    assert.deepEqual(copies.missing, []);
    for (let day = 5; day >= 0; day--) await use(`day ${day}`, "t7", T0 + day * DAY_MS + 1);
    for (const node of nodes) await caughtUp(node, 6 * KEYS.length);

    const charges = await outputsOf("billing", "billing.charge");
    assert.equal(charges.length, 6 * KEYS.length);
    for (const { data, causeid, referenceversions } of charges) {
      const day = Number(causeid!.split(" ")[1]);
      assert.deepEqual([data.price, referenceversions], [day * 100 + 7, `tariffs:t7:${day + 1}`]);
    }
    for (const { data } of await outputsOf("audit", "billing.seen")) assert.deepEqual(data.versions, [1, 2, 3, 4, 5, 6]);
    for (const job of jobs) {
      assert((await assertEqualsFreshFold(nc, job)) > 0);
      assert((await verified(job)).every(({ ok }) => ok));
    }

    async function verified(job: Job): Promise<Verdict[]> {
      const verdicts: Verdict[] = [];
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const { job: of, ...history } = await storedHistory(nc, job, partition, PARTITIONS, natsResults(nc));
        verdicts.push(await verifyReplay({ app: APP, job: of.name, ...history }));
      }
      return verdicts;
    }
  });
});

suite("reference data over HTTP", { timeout: 90_000 }, async () => {
  const { dataDir, start, use, outputsOf } = await world({ after });
  const node = start(dataDir());
  const api = `${await node.ready}/v1/logs/billing/reference`;
  const put = (path: string, version: number, from: number, data: unknown) =>
    call(`${api}/tariffs/${path}`, "PUT", { version, effectiveFrom: formatInstant(from), data });

  test("an answered put is seen by every event published behind it", async () => {
    for (let version = 1; version <= 20; version++) {
      const { status, body } = await put("std", version, T0, { price: version });
      assert.deepEqual([status, body.written, body.missing], [200, true, []]);
      assert.equal(body.positions.length, PARTITIONS);
      await use(`after ${version}`, "std", T0 + 1);
    }
    await caughtUp(node, 20 * KEYS.length);
    const charges = await outputsOf("billing", "billing.charge");
    assert.equal(charges.length, 20 * KEYS.length);
    for (const { data, causeid } of charges) assert.equal(`after ${String(data.price)}`, causeid);
  });

  test("the same version with the same content is found again, however it is written", async () => {
    const again = await call(`${api}/tariffs/std`, "PUT", {
      version: 7,
      effectiveFrom: "2026-01-15T13:00:00+01:00",
      data: { price: 7.0 },
    });
    assert.deepEqual([again.status, again.body.written, again.body.sequence], [200, false, 7]);
  });

  test("a version that is there with other content, or below the highest, is a conflict", async () => {
    await put("gaps", 5, T0, { price: 5 });
    for (const [path, version, price] of [
      ["std", 20, 21],
      ["std", 3, 4],
      ["gaps", 4, 4],
    ] as const) {
      const { status, body } = await put(path, version, T0, { price });
      assert.deepEqual([status, body.code], [409, "REFERENCE_CONFLICT"], JSON.stringify(body));
    }
  });

  test("what is malformed or against the schema is refused, and a dry run writes nothing", async () => {
    const bad: readonly unknown[] = [
      { version: 21, effectiveFrom: "yesterday", data: { price: 1 } },
      { version: 21, effectiveFrom: "2026-01-01T00:00:00Z", data: { price: -1 } },
      { version: 21, effectiveFrom: "2026-01-01T00:00:00Z", data: { price: 1, note: "x".repeat(70_000) } },
    ];
    for (const body of bad) {
      const answer = await call(`${api}/tariffs/std?dryRun=true`, "PUT", body);
      assert.deepEqual([answer.status, answer.body.code], [400, "REFERENCE_INVALID"], JSON.stringify(answer.body));
    }
    for (const body of [{ version: 0, effectiveFrom: "", data: 1 }, { version: 21, data: { price: 1 } }, []]) {
      assert.equal((await call(`${api}/tariffs/std`, "PUT", body)).status, 400);
    }
    const dry = await call(`${api}/tariffs/std?dryRun=true`, "PUT", { version: 21, effectiveFrom: "2026-01-01T00:00:00Z", data: null });
    assert.deepEqual([dry.status, dry.body.dryRun, dry.body.written, dry.body.sequence], [200, true, true, null]);
    assert.equal((await call(`${api}/tariffs/std`, "GET")).body.items.length, 20);
    for (const query of ["wait=31s", "wait=soon", "dryRun=perhaps"]) {
      assert.equal(
        (await call(`${api}/tariffs/std?${query}`, "PUT", { version: 21, effectiveFrom: "2026-01-01T00:00:00Z", data: null })).status,
        400,
      );
    }
  });

  test("a table that no job reads, and a record that was never put, are not found", async () => {
    assert.equal((await call(`${api}/nothing`, "GET")).status, 404);
    assert.equal((await call(`${api}/nothing/x`, "PUT", { version: 1, effectiveFrom: "2026-01-01T00:00:00Z", data: {} })).status, 404);
    assert.equal((await call(`${api}/tariffs/nobody`, "GET")).status, 404);
    assert.equal((await call(`${api.replace("billing", "Billing")}/tariffs`, "GET")).status, 404);
  });

  test("versions of a record come in the order in which they were put, in pages", async () => {
    const first = await call(`${api}/tariffs/std?limit=15`, "GET");
    const rest = await call(`${api}/tariffs/std?limit=15&cursor=${first.body.next}`, "GET");
    const items = [...first.body.items, ...rest.body.items];
    assert.deepEqual(
      items.map(({ version }) => version),
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    assert.equal(rest.body.next, null);
  });

  test("records in force at a time are listed by id, with a prefix and in pages", async () => {
    const ids = ["a/b", "käse", "NA", "__proto__", "x".repeat(256)];
    for (const id of ids) await put(encodeURIComponent(id), 1, T0 + DAY_MS, { price: 1 });
    await put("NA", 2, T0 + 2 * DAY_MS, null);
    const list = async (query: string) => {
      const found: string[] = [];
      for (let cursor = ""; ; ) {
        const { body } = await call(`${api}/tariffs?limit=2&${query}${cursor}`, "GET");
        found.push(...body.items.map(({ id, version }) => `${id} ${version}`));
        if (body.next === null) return found.sort();
        cursor = `&cursor=${body.next}`;
      }
    };
    const at = (days: number) => `asOf=${formatInstant(T0 + days * DAY_MS)}`;
    const inForce = ["gaps 5", "std 20", ...ids.map((id) => `${id} 1`)].sort();
    // The list is as of a commit, which comes a moment later.
    while ((await list(at(1))).length < inForce.length || (await list(at(2))).includes("NA 1"));
    assert.deepEqual(await list(at(1)), inForce);
    assert.deepEqual(await list(at(0)), ["gaps 5", "std 20"]);
    assert.deepEqual(await list(at(-1)), []);
    assert(!(await list(at(2))).some((found) => found.startsWith("NA")));
    assert.deepEqual(await list(`${at(1)}&prefix=__`), ["__proto__ 1"]);
    assert.deepEqual(await list(`${at(1)}&prefix=${encodeURIComponent("k\u00e4")}`), ["käse 1"]);
    const cursors = ["x", Buffer.from('"\u1234"').toString("base64url"), Buffer.from("7").toString("base64url")];
    for (const query of ["asOf=now", "limit=0", ...cursors.map((cursor) => `cursor=${cursor}`)]) {
      assert.equal((await call(`${api}/tariffs?${query}`, "GET")).status, 400, query);
    }
  });

  test("a put that does not wait says which partitions do not have it yet", async () => {
    const { status, body } = await call(`${api}/tariffs/waits?wait=0s`, "PUT", {
      version: 1,
      effectiveFrom: "2026-01-01T00:00:00Z",
      data: { price: 1 },
    });
    assert([200, 202].includes(status));
    assert.equal(status === 202, body.missing.length > 0);
  });
});
