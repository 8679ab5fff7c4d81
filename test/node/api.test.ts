import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { type EventPayload, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { cloudEvent, type ReadOutput, T0 } from "../support/entries.ts";
import job from "../support/meter-hold.ts";
import { startTestNats } from "../support/nats.ts";
import { getJson, NodeProcess, untilShards } from "../support/node-process.ts";

interface List<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/** Keys that a path, a query or a subject could trip over, and 30 plain ones. */
const ODD = [
  "NA",
  "null",
  "0",
  "__proto__",
  "constructor",
  "a/b",
  "a b",
  "a%2Fb",
  "käse",
  "🙂",
  "..",
  ".",
  "?x=1",
  "#",
  "+",
  "a,b",
  "\u0000",
  "x".repeat(256),
  "€".repeat(28),
];
const KEYS = [...ODD, ...Array.from({ length: 30 }, (_, i) => `device-${String(i).padStart(2, "0")}`)];

const nats = await startTestNats({ after }, { logs: [job.log] });
const dataDir = mkdtempSync(join(tmpdir(), "tidemark-api-"));
const nc = await connect({ servers: nats.url });
const node = new NodeProcess({ app: new URL("../support/meter-hold.ts", import.meta.url).pathname, natsUrl: nats.url, dataDir });
after(async () => {
  await node.kill();
  await nc.close();
  rmSync(dataDir, { recursive: true, force: true });
});
const url = await node.ready;
await publishAll();
await untilShards(url, (shards) => shards.every(({ outputs, outputsStored, counts }) => (counts.in ?? 0) > 0 && outputsStored >= outputs));
await untilListed();

async function publishAll(): Promise<void> {
  const publisher = openLogPublisher(nc, job.log, (await readSlotMap(nc, job.log))!);
  for (const key of KEYS) await publisher.publish(key, cloudEvent({ id: "1", key, time: T0 }) as EventPayload);
  for (const key of KEYS) await publisher.publish(key, cloudEvent({ id: "2", key, type: "meter.unknown", time: T0 }) as EventPayload);
  publisher.close();
}

/** The API shows what is committed, and all outputs. */
async function untilListed(): Promise<void> {
  const count = async (list: string) => (await getJson<List<unknown>>(`${url}/v1/${list}?limit=1000`)).items.length;
  while ((await count("actors/meter")) < KEYS.length || (await count("outputs")) < KEYS.length) {
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
}

/** A request as it is written, past everything that a client would put right. */
function raw(request: string): Promise<{ readonly status: number; readonly type: string; readonly body: string }> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connectSocket(Number(port), hostname, () => socket.write(request));
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    // A server that will not read on may reset the connection behind its answer.
    socket.on("error", (error) => (text === "" ? reject(error) : undefined));
    socket.on("close", () => {
      const [head = "", body = ""] = text.split("\r\n\r\n", 2);
      resolve({ status: Number(head.split(" ")[1]), type: /content-type: (.*)/i.exec(head)?.[1] ?? "", body });
    });
  });
}
const get = (path: string) => raw(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);

/** All items of a list, page by page; a cursor must lead on, and to an end. */
async function all<T>(path: string, limit: number): Promise<T[]> {
  const items: T[] = [];
  const cursors = new Set<string>();
  let next: string | null = "";
  for (let pages = 0; next !== null; pages++) {
    assert(pages < 500, "the pages have no end");
    const list: List<T> = await getJson(
      `${url}${path}${path.includes("?") ? "&" : "?"}limit=${limit}${next === "" ? "" : `&cursor=${next}`}`,
    );
    assert(list.items.length <= limit);
    items.push(...list.items);
    next = list.next;
    assert(next === null || !cursors.has(next), "a cursor leads to itself");
    cursors.add(next ?? "");
  }
  return items;
}

suite("health", () => {
  test("the process is alive, and ready when every shard runs", async () => {
    assert.deepEqual(await getJson(`${url}/healthz`), { status: "alive" });
    assert.deepEqual(await getJson(`${url}/readyz`), { ready: true, reasons: [] });
  });
});

suite("shards", () => {
  test("are listed with where they are, and asked for one by one", async () => {
    const { items, next } = await getJson<List<{ job: string; shard: number; status: string; counts: { in: number } }>>(`${url}/v1/shards`);
    assert.equal(next, null);
    assert.deepEqual(
      items.map((shard) => [shard.job, shard.shard, shard.status]),
      [
        ["meter", 0, "running"],
        ["meter", 1, "running"],
      ],
    );
    assert.equal(
      items.reduce((sum, { counts }) => sum + counts.in, 0),
      KEYS.length * 2,
    );
    assert.equal((await getJson<{ shard: number }>(`${url}/v1/shards/meter/1`)).shard, 1);
  });

  for (const path of [
    "/v1/shards/meter/2",
    "/v1/shards/meter/01",
    "/v1/shards/meter/-1",
    "/v1/shards/other/0",
    "/v1/shards/meter/__proto__",
  ]) {
    test(`${path} is not there`, async () => assert.equal((await get(path)).status, 404));
  }

  test("jobs are listed with what the fold sees of them", async () => {
    const { items } = await getJson<List<{ job: string; partitions: number; settings: object }>>(`${url}/v1/jobs`);
    assert.deepEqual(
      items.map(({ job: name, partitions, settings }) => [name, partitions, settings]),
      [["meter", 2, job.settings]],
    );
  });
});

suite("actors", () => {
  for (const limit of [1, 7, 48, 49, 50, 1_000]) {
    test(`are all listed once, ${limit} at a time`, async () => {
      const keys = await all<string>("/v1/actors/meter", limit);
      assert.deepEqual(keys.sort(), [...KEYS].sort());
    });
  }

  test("are listed by a prefix of their key, also one that is written with escapes", async () => {
    assert.equal((await all("/v1/actors/meter?prefix=device-1", 3)).length, 10);
    for (const prefix of ["k", "kä", "🙂", "a", "a/", "__", "x".repeat(256), "none"]) {
      const keys = await all<string>(`/v1/actors/meter?prefix=${encodeURIComponent(prefix)}`, 5);
      assert.deepEqual(keys.sort(), KEYS.filter((key) => key.startsWith(prefix)).sort(), prefix);
    }
  });

  for (const key of KEYS.slice(0, ODD.length + 1)) {
    test(`${JSON.stringify(key.slice(0, 20))} is read by its key, in the path and in the query`, async () => {
      const encoded = encodeURIComponent(key).replaceAll(".", "%2E");
      const byQuery = await getJson<Record<string, unknown>>(`${url}/v1/actors/meter?key=${encoded}`);
      const { shard, position, ...actor } = byQuery;
      assert.match(String(position), new RegExp(`^${shard}:\\d+\\.\\d+$`));
      assert.deepEqual(actor, {
        type: "meter",
        key,
        watermark: "2026-01-15T11:59:00.000Z",
        state: { days: [{ start: Date.UTC(2026, 0, 15), count: 1, millionths: 1_000_000 }], lastAt: T0 },
        timers: actor.timers,
        dedupe: { count: 1, oldest: "2026-01-15T12:00:00.000Z", horizon: "172800000ms" },
        expires: [],
        expiring: 0,
        sizes: { days: { entries: 0, bytes: 15 }, lastAt: { entries: 0, bytes: 7 } },
        pending: [],
      });
      const timers = actor.timers as { name: string; id: string; at: string; clock: string; armedBy: string }[];
      assert.deepEqual(timers[0], {
        name: "dayEnd",
        id: "2026-01-15",
        at: "2026-01-15T23:59:59.999Z",
        clock: "event",
        data: Date.UTC(2026, 0, 15),
        armedBy: "1",
      });
      // A dot segment is gone before any server sees it: such a key is asked for in the query.
      if (key !== "." && key !== "..") assert.deepEqual(await getJson(`${url}/v1/actors/meter/${encoded}`), byQuery);
    });
  }

  test("that are not there are 404, types too", async () => {
    for (const path of [
      "/v1/actors/meter/nobody",
      "/v1/actors/meter?key=nobody",
      "/v1/actors/other",
      "/v1/actors/other/device-01",
      "/v1/actors/__proto__/x",
    ]) {
      assert.equal((await get(path)).status, 404, path);
    }
  });
});

suite("outputs", () => {
  for (const limit of [1, 10, 49, 1_000]) {
    test(`are all listed once, oldest first in each shard, ${limit} at a time`, async () => {
      const outputs = await all<ReadOutput>("/v1/outputs", limit);
      assert.equal(outputs.length, KEYS.length);
      const numbers = new Map<string, number>();
      for (const { id, type } of outputs) {
        assert.equal(type, "tidemark.quarantine");
        const at = id.lastIndexOf(".");
        const k = Number(id.slice(at + 1));
        assert.equal(k, (numbers.get(id.slice(0, at)) ?? 0) + 1);
        numbers.set(id.slice(0, at), k);
      }
    });
  }

  test("are listed by type and by key", async () => {
    assert.equal((await all("/v1/outputs?type=tidemark.quarantine", 20)).length, KEYS.length);
    assert.equal((await all("/v1/outputs?type=meter.daily-total", 20)).length, 0);
    for (const key of KEYS) {
      const outputs = await all<ReadOutput>(`/v1/outputs?key=${encodeURIComponent(key)}`, 20);
      assert.deepEqual(
        outputs.map(({ subject, data }) => [subject, data.code]),
        [[key, "unknown-type"]],
      );
    }
  });

  test("behind the last page there are none, until there are more", async () => {
    const first = await getJson<List<ReadOutput>>(`${url}/v1/outputs?limit=10`);
    const again = await getJson<List<ReadOutput>>(`${url}/v1/outputs?limit=10`);
    assert.deepEqual(first, again);
  });
});

const NOISE = ["", "0", "-1", "1001", "1e3", "0x10", "abc", "10&limit=20", "%00", "1.5", "99999999999999999999"];
const CURSORS = ["x", "e30", "bnVsbA", "W10", "%00", Buffer.from('{"partition":99999999,"slot":1,"after":""}').toString("base64url")];
const CURSOR_VALUES: readonly unknown[] = [
  { partition: 0, slot: 0, after: "\u0000".repeat(256) },
  { partition: 0, slot: 2 ** 53 - 1, after: "" },
  { partition: 0, slot: 0, after: "ÿ€🙂" },
  { partition: 1.5, slot: 0, after: "" },
  { partition: -1, slot: 0, after: "" },
  { "meter/0": Number.MAX_SAFE_INTEGER, "meter/1": 2 ** 52 },
  { "meter/0": 0 },
  { "meter/0": "1" },
  { __proto__: 1, toString: 5 },
  { "other/0": 5 },
  [1],
  5,
];
for (const value of CURSOR_VALUES) CURSORS.push(Buffer.from(JSON.stringify(value)).toString("base64url"));

const HOSTILE = [
  ...NOISE.flatMap((noise) => [`/v1/outputs?limit=${noise}`, `/v1/actors/meter?limit=${noise}`]),
  ...CURSORS.flatMap((cursor) => [
    `/v1/outputs?cursor=${cursor}`,
    `/v1/actors/meter?cursor=${cursor}`,
    `/v1/actors/meter?cursor=${cursor}&cursor=${cursor}`,
  ]),
  "/v1/outputs?type=a..b",
  "/v1/outputs?type=*",
  "/v1/outputs?type=%3E",
  "/v1/outputs?type=a&type=b",
  `/v1/outputs?type=${"t".repeat(5_000)}`,
  "/v1/outputs?key=",
  "/v1/outputs?key=*",
  "/v1/outputs?key=a&key=b",
  `/v1/outputs?key=${"k".repeat(5_000)}`,
  "/v1/actors/meter?key=",
  "/v1/actors/meter?key=a&key=b",
  "/v1/actors/meter?key[]=a",
  "/v1/actors/meter?prefix=a&prefix=b",
  `/v1/actors/meter?prefix=${"%E2%82%AC".repeat(200)}`,
  "/v1/actors/meter?limit=1&limit=2",
  "/v1/actors/meter?__proto__=x&constructor=y",
  "/v1/actors/meter/",
  "/v1/actors/meter/%",
  "/v1/actors/meter/%zz",
  "/v1/actors/meter/%FF",
  "/v1/actors/meter/%ED%A0%80",
  "/v1/actors/meter/%00",
  `/v1/actors/meter/${"%E2%82%AC".repeat(100)}`,
  `/v1/actors/meter/${"k".repeat(2_000)}`,
  `/v1/actors/${"t".repeat(10_000)}`,
  "/v1/actors/meter/../../../../etc/passwd",
  "/v1/actors/..%2F..%2Fetc/passwd",
  "//v1/shards",
  "/%2e%2e/v1/shards",
  "/",
  "/v1",
  "/v1/shards/",
  "/v1/shards/meter/0/more",
  "*",
  "http://elsewhere/v1/shards",
];

suite("hostile input", () => {
  for (const path of HOSTILE) {
    test(`GET ${path.length > 70 ? `${path.slice(0, 70)}… (${path.length})` : path} is answered, and never with a server's error`, async () => {
      const { status, type, body } = await get(path);
      assert(status >= 200 && status < 500, `${status} ${body}`);
      if (status < 400) return;
      assert.match(type, /^application\/problem\+json/, body);
      const problem = JSON.parse(body) as Record<string, unknown>;
      assert.equal(problem.status, status);
      assert.match(String(problem.code), /^[A-Z_]+$/);
      assert(!body.includes("node_modules") && !body.includes(".ts:"), "no inside is shown");
    });
  }

  const REQUESTS: Readonly<Record<string, string>> = {
    "a method that no route has": "DELETE /v1/shards HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "a body where none belongs":
      "POST /v1/outputs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    "half a JSON body":
      "POST /v1/outputs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{",
    "no HTTP at all": "HELLO\r\n\r\n",
    "bytes in the path that had to be escaped": "GET /v1/actors/meter/€ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "a header that is too long": `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`,
  };
  for (const [name, request] of Object.entries(REQUESTS)) {
    test(`${name} is refused`, async () => {
      const { status } = await raw(request);
      assert(status >= 400 && status < 500, String(status));
    });
  }

  test("after all that the node is as ready as before", async () => {
    assert.deepEqual(await getJson(`${url}/readyz`), { ready: true, reasons: [] });
  });
});
