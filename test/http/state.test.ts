/** What the state of a running node costs and when it goes: over HTTP and on the command line. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { HOUR_MS } from "../../actors/model/time.ts";
import { startApiNode } from "../support/api-node.ts";
import { TTL_MS } from "../support/cell-script.ts";
import { runOnTerminal, runPiped } from "../support/cli-run.ts";
import { cloudEvent } from "../support/entries.ts";
import { getJson } from "../support/node-process.ts";

const TIME = Date.now() - HOUR_MS;
const ENTRIES = 1_200;
const KEYS = 60;
const { url } = await startApiNode("./cells-app.ts", "cells");

const put = (cell: string, at: string, life?: number) => ({
  cell,
  ttl: true,
  do: "put",
  at,
  number: 1,
  ...(life === undefined ? {} : { life }),
});
const entries = Array.from({ length: ENTRIES }, (_, i) => put("map", `m${i}`, 2 * HOUR_MS - i));
const opsOf = (key: number) => (key === 0 ? [...entries, put("value", "", 3 * HOUR_MS)] : [put("set", "a", 5 * HOUR_MS)]);
const events = Array.from({ length: KEYS }, (_, i) =>
  cloudEvent({ id: `${i}`, key: `k${i}`, type: "cells.run", time: TIME, data: { ops: opsOf(i), fail: false } }),
);
const answer = await fetch(`${url}/v1/logs/cells/events`, {
  method: "POST",
  headers: { "content-type": "application/cloudevents-batch+json" },
  body: JSON.stringify(events),
});
const { results } = (await answer.json()) as { readonly results: readonly { readonly position: string }[] };
for (let i = KEYS - 1; i >= 0; i--) await getJson(`${url}/v1/actors/cells/k${i}?after=${results[i]!.position}&wait=30`);

interface Item {
  readonly job: string;
  readonly part?: string;
  readonly from?: string;
  readonly actor: string | null;
  readonly cell: string | null;
  readonly actors: number;
  readonly entries: number;
  readonly bytes: number;
  readonly count: number;
}

async function all(path: string, query: Readonly<Record<string, string>>): Promise<readonly Item[]> {
  const items: Item[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const search = new URLSearchParams({ ...query, ...(cursor === "" ? {} : { cursor }) });
    const page: { items: Item[]; next: string | null } = await getJson(`${url}${path}?${search}`);
    items.push(...page.items);
    cursor = page.next;
  }
  return items;
}

const sum = (items: readonly Item[], count: "actors" | "entries" | "bytes" | "count", cell: string | null) =>
  items.reduce((total, item) => total + (item.cell === cell ? item[count] : 0), 0);

suite("an actor over HTTP", () => {
  test("says what goes when, the earliest first, at most a thousand, and how many there are", async () => {
    const { expires, expiring, sizes } = await getJson<{
      expires: { cell: string; entry?: string; at: string }[];
      expiring: number;
      sizes: Record<string, { entries: number; bytes: number }>;
    }>(`${url}/v1/actors/cells/k0`);
    assert.deepEqual([expires.length, expiring], [1_000, ENTRIES + 1]);
    assert.deepEqual(expires[0], {
      cell: "mapTtl",
      entry: `m${ENTRIES - 1}`,
      at: new Date(TIME + 2 * HOUR_MS - (ENTRIES - 1)).toISOString(),
    });
    assert.deepEqual(
      expires.map(({ at }) => at),
      expires.map(({ at }) => at).toSorted(),
    );
    assert.equal(sizes.mapTtl?.entries, ENTRIES);
    assert.ok(sizes.mapTtl.bytes > ENTRIES * 20);
    assert.deepEqual([sizes.map, sizes.valueTtl?.entries], [{ entries: 0, bytes: 0 }, 0]);
  });

  test("shows the first of them on a terminal, and how many more there are", async () => {
    const { code, stdout } = await runOnTerminal(["actor", "cells", "k0", "--url", url], { NO_COLOR: "1" });
    assert.equal(code, 0);
    assert.match(stdout, /EXPIRES +CELL +ENTRY\n/);
    assert.match(stdout, /keeps \d+ bytes in 10 cells, 1200 entries; --json has them by cell/);
    assert.match(stdout, /and 1181 more, later/);
  });
});

suite("the state of a job", () => {
  test("costs what its cells cost in every shard, together with its actors", async () => {
    const items = await all("/v1/state/sizes", { job: "cells" });
    assert.deepEqual(new Set(items.map(({ job }) => job)), new Set(["cells"]));
    assert.deepEqual(
      [sum(items, "entries", "mapTtl"), sum(items, "actors", "mapTtl"), sum(items, "actors", "setTtl")],
      [ENTRIES, 1, KEYS - 1],
    );
    const actor = await getJson<{ sizes: Record<string, { bytes: number }> }>(`${url}/v1/actors/cells/k0`);
    assert.equal(sum(items, "bytes", "mapTtl"), actor.sizes.mapTtl?.bytes);
    const dedupe = items.filter(({ part }) => part === "dedupe");
    assert.equal(
      dedupe.reduce((total, { entries }) => total + entries, 0),
      KEYS,
    );
    const jobs = new Set((await all("/v1/state/sizes", {})).map(({ job }) => job));
    assert.deepEqual(jobs, new Set(["cells", "watch"]));
  });

  test("goes by hour and by day, page by page", async () => {
    const hours = await all("/v1/state/expiries", { job: "cells", limit: "1" });
    assert.deepEqual([sum(hours, "count", "mapTtl"), sum(hours, "count", "setTtl"), sum(hours, "count", null)], [ENTRIES, KEYS - 1, KEYS]);
    const of = (time: number) => new Date(Math.floor(time / HOUR_MS) * HOUR_MS).toISOString();
    assert.deepEqual(new Set(hours.filter(({ cell }) => cell === "setTtl").map(({ from }) => from)), new Set([of(TIME + 5 * HOUR_MS)]));
    const days = await all("/v1/state/expiries", { job: "cells", by: "day" });
    assert.ok(days.every(({ from }) => from!.endsWith("T00:00:00.000Z")));
    assert.ok(TTL_MS < HOUR_MS);
  });

  test("is one table on the command line, the largest first, and an estimate by a sample", async () => {
    const { code, stdout } = await runOnTerminal(["state", "sizes", "--job", "cells", "--url", url], { NO_COLOR: "1" });
    assert.equal(code, 0);
    const [title, first] = stdout.split("\n");
    assert.match(title!, /JOB +ACTOR +CELL +ACTORS +ENTRIES +BYTES/);
    assert.match(first!, /^cells +cells +mapTtl +1 +1200 +\d+$/);
    const sampled = await runPiped(["state", "sizes", "--job", "cells", "--sample", "512", "--url", url], { NO_COLOR: "1" });
    const keys = sampled.stdout
      .split("\n")
      .filter((line) => line.includes('"part":"keys"'))
      .map((line) => (JSON.parse(line) as Item).actors);
    assert.equal(keys.length, 1);
    assert.ok(keys[0]! > 0 && keys[0]! % 2 === 0, "each counts twice");
    const expiries = await runOnTerminal(["state", "expiries", "--by", "day", "--url", url], { NO_COLOR: "1" });
    assert.match(expiries.stdout, /FROM +JOB +ACTOR +CELL +COUNT\n[\s\S]*ids remembered/);
  });

  test("is refused for a job that is none, and with a cursor that is none", async () => {
    for (const path of ["/v1/state/sizes", "/v1/state/expiries"]) {
      assert.equal((await fetch(`${url}${path}?job=none`)).status, 404);
      const cursors = [
        {},
        { job: "cells", partition: 0, at: 7 },
        { job: "cells", partition: -1, at: "" },
        { job: "cells", partition: 0, at: "\u0100" },
      ];
      for (const cursor of cursors) {
        const text = Buffer.from(JSON.stringify(cursor)).toString("base64url");
        assert.equal((await fetch(`${url}${path}?cursor=${text}`)).status, 400, JSON.stringify(cursor));
      }
    }
  });
});
