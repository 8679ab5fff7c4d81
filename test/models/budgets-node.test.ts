/** A budget of a model on a real node: put over HTTP, spent by calls to a server that counts them, moved, shown, replayed. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { slotOf } from "../../actors/model/key.ts";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { allOutputs, startApiNode } from "../support/api-node.ts";
import { runCli, runOnTerminal } from "../support/cli-run.ts";
import { cloudEvent, type ReadOutput } from "../support/entries.ts";
import { startFaultyServer } from "../support/faulty-server.ts";
import { getJson } from "../support/node-process.ts";
import { putModels } from "../support/put-models.ts";

interface Budgets {
  readonly items: readonly {
    readonly id: string;
    readonly inForce: { readonly version: number; readonly units: number; readonly shares: Readonly<Record<string, number>> | null } | null;
    readonly shards: readonly { readonly shard: number; readonly units: number; readonly used: number; readonly reserved: number }[];
  }[];
}

const { url, nc, nats } = await startApiNode("./budgeted-app.ts", "writers");
const server = await startFaultyServer(
  { after },
  { text: ({ body }, response: ServerResponse) => void response.writeHead(200, { "content-type": "application/json" }).end(body) },
);
const map = (await readSlotMap(nc, "writers"))!;
const publisher = openLogPublisher(nc, "writers", map);
after(() => publisher.close());
const serving = { kind: "json", url: `${server.url}/text` } as const;
const Numbered = { type: "object", properties: { n: { type: "integer" } }, required: ["n"] };
const description = { serving, input: Numbered, output: Numbered };
await putModels({ apiUrl: url, nc, log: "writers", partitions: map.partitions }, [{ name: "text", description }]);

const RECORD = { units: 20, per: "31d", reserve: 5 };
const of = (key: string) => slotOf(key) % map.partitions;
const keyIn = (partition: number) => ["ann", "bob", "eve", "joe", "kim", "lea", "mia", "noa"].find((key) => of(key) === partition)!;
const [ANN, BOB] = [keyIn(0), keyIn(1)];
let asked = 0;

async function put(id: string, version: number, effectiveFrom: string, data: unknown) {
  const response = await fetch(`${url}/v1/logs/writers/reference/_budgets/${id}?wait=30s`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ version, effectiveFrom, data }),
  });
  return { status: response.status, body: (await response.json()) as { readonly code?: string; readonly detail?: string } };
}

/** What the handler said, once what it asked for was answered. */
async function mail(key: string): Promise<string> {
  const n = ++asked;
  await publisher.publish(key, cloudEvent({ id: `m${n}`, type: "asked", key, time: Date.now(), data: { n, by: "mail" } }) as never);
  for (;;) {
    const told = (await allOutputs<ReadOutput & { type: string }>(url))
      .filter(({ type }) => type === "told")
      .map(({ data }) => data as unknown as { readonly n: number; readonly what: string })
      .filter((one) => one.n === n)
      .map(({ what }) => what);
    if (told.includes("done") || told.some((what) => what.startsWith("BUDGET_EXCEEDED"))) return told[0]!;
    assert.ok(!told.includes("failed"), "the model is there");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const BOUNDED = { timeout: 120_000 };

suite("a budget of a model on a node", () => {
  test("is refused with what is wrong with it", BOUNDED, async () => {
    const ever = "2020-01-01T00:00:00Z";
    assert.deepEqual((await put("model:txt", 1, ever, RECORD)).body.code, "REFERENCE_INVALID");
    const over = await put("model:text", 1, ever, { ...RECORD, shares: { [`writers/${of(ANN)}`]: 21 } });
    assert.deepEqual([over.status, over.body.code], [400, "REFERENCE_INVALID"]);
    assert.match(over.body.detail!, /\/shares come to 21 units, more than the 20 of \/units/);
    assert.deepEqual((await getJson<Budgets>(`${url}/v1/budgets`)).items, []);
  });

  test("lets a shard ask until its share has no room, and the server is asked no more often", BOUNDED, async () => {
    const shares = { [`writers/${of(ANN)}`]: 12, [`writers/${of(BOB)}`]: 5 };
    assert.equal((await put("model:text", 1, "2020-01-01T00:00:00Z", { ...RECORD, shares })).status, 200);
    const told: string[] = [];
    for (let i = 0; i < 10; i++) told.push(await mail(ANN));
    // Of 12 units each answer costs one, and asking takes five.
    assert.deepEqual(told, [...Array<string>(8).fill("asked"), ...Array<string>(2).fill("BUDGET_EXCEEDED model")]);
    assert.deepEqual([await mail(BOB), await mail(BOB)], ["asked", "BUDGET_EXCEEDED model"]);
    assert.equal(server.count("/text"), 9);
  });

  test("is shown with what each shard has spent", BOUNDED, async () => {
    const spent = async () => (await getJson<Budgets>(`${url}/v1/budgets`)).items[0] ?? { id: "", inForce: null, shards: [] };
    // Rows are read as they were committed.
    while ((await spent()).shards.reduce((sum, { used }) => sum + used, 0) < 9) await new Promise((resolve) => setTimeout(resolve, 50));
    const { id, inForce, shards } = await spent();
    assert.deepEqual([id, inForce?.version, inForce?.units], ["model:text", 1, 20]);
    assert.deepEqual(
      shards.map(({ shard, units, used, reserved }) => [shard, units, used, reserved]),
      [
        [of(ANN), 12, 8, 0],
        [of(BOB), 5, 1, 0],
      ],
    );
    const { stdout } = await runOnTerminal(["budgets", "list", "--url", url], { NO_COLOR: "1" });
    const [head, line] = stdout.split("\n").map((text) => text.replaceAll(/ {2,}/g, "|"));
    assert.equal(head, "BUDGET|IN FORCE|SHARD|UNTIL|UNITS|USED|RESERVED");
    assert.match(line!, new RegExp(`^model:text\\|writers: 20 a 31d\\|writers/${of(ANN)}\\|20\\d\\d-.*Z\\|12\\|8\\|0$`));
  });

  test("is moved by a record that begins later", BOUNDED, async () => {
    const later = new Date(Date.now() + 3_000).toISOString();
    assert.equal((await put("model:text", 2, later, { ...RECORD, shares: { [`writers/${of(BOB)}`]: 20 } })).status, 200);
    while ((await mail(BOB)) !== "asked");
    assert.equal(await mail(ANN), "BUDGET_EXCEEDED model");
    assert.equal(server.count("/text"), 10);
  });

  test("comes to the same in a replay, which asks nobody", BOUNDED, async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "tidemark-replay-budgets-"));
    after(() => rmSync(dataDir, { recursive: true, force: true }));
    const app = new URL("../support/budgeted-app.ts", import.meta.url).pathname;
    const env = { TIDEMARK_NATS_URL: nats.url, TIDEMARK_DATA_DIR: dataDir };
    const { stdout, stderr } = await runCli(["replay", "writers", app, "--no-publish", "--json"], env);
    assert.notEqual(stdout, "", stderr);
    const { unanswered, diff } = JSON.parse(stdout) as {
      readonly unanswered: number;
      readonly diff: Readonly<Record<string, number>>;
    };
    assert.deepEqual([unanswered, diff.changed, diff.added, diff.missing], [0, 0, 0, 0]);
    assert.equal(server.count("/text"), 10);
  });
});
