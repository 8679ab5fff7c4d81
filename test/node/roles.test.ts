/** The accounts that `tidemark nats-config` writes, on a real server: each role does its work, and is refused what is another's. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { jetstream } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { slotOf } from "../../actors/model/key.ts";
import { streamInfo } from "../../runtime/log/jetstream-api.ts";
import { connectNats } from "../../runtime/nats-connect.ts";
import { READER_API } from "../../runtime/node/account-roles.ts";
import { ROLE_VARIABLES } from "../../runtime/node/cluster-config.ts";
import { runPiped } from "../support/cli-run.ts";
import { startConfiguredNats } from "../support/configured-nats.ts";
import { NodeProcess, untilShards } from "../support/node-process.ts";

type Role = keyof typeof ROLE_VARIABLES;

const APP = new URL("../support/echo.ts", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "tidemark-roles-"));
const passwords = Object.fromEntries(Object.values(ROLE_VARIABLES).map((name) => [name, `secret-of-${name}`]));
const printed = await runPiped(["nats-config", APP, "--store-dir", "FOLDER/js"], { TIDEMARK_PARTITIONS: "2" });
assert.equal(printed.code, 0, printed.stderr);
const nats = await startConfiguredNats({ after }, printed.stdout.replace(/^listen: .*$/m, ""), passwords);
const urlOf = (role: Role): string => `nats://${role}:${passwords[ROLE_VARIABLES[role]]}@${nats.host}`;
const event = (id: string): string =>
  JSON.stringify({ specversion: "1.0", id, source: "/t", type: "echo.said", subject: "k", time: "2026-03-01T00:00:00Z", data: 1 });

let node: NodeProcess;
const roles = new Map<Role, NatsConnection>();
const as = (role: Role): NatsConnection => roles.get(role)!;

before(async () => {
  node = new NodeProcess({
    app: APP,
    natsUrl: urlOf("runtime"),
    dataDir: join(folder, "data"),
    // Every server flushes first, and says so: nothing has to be allowed but the one replica.
    env: { TIDEMARK_PROFILE: "production" },
  });
  await untilShards(await node.ready, (shards) => shards.every(({ status }) => status === "running"));
  for (const role of Object.keys(ROLE_VARIABLES) as Role[]) roles.set(role, await connectNats({ url: urlOf(role) }, "test"));
});
after(async () => {
  for (const nc of roles.values()) await nc.close();
  assert.equal(await node.stop(), 0);
  rmSync(folder, { recursive: true, force: true });
});

/** What the server says to a request, or why it does not. */
async function answerTo(role: Role, subject: string, body = ""): Promise<string> {
  try {
    return (await as(role).request(subject, body, { timeout: 2_000 })).string();
  } catch (error) {
    return (error as Error).message;
  }
}

async function sizes(): Promise<Record<string, number>> {
  const names = ["echo-0", "echo-1", "echo-out-0", "echo-out-1", "echo-skips"];
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, (await streamInfo(as("operator"), name)).state.last_seq])));
}

/** Where the key k goes. */
const SLOT = slotOf("k");
const P = SLOT % 2;
const OUT = `echo-out-${P}`;
const JOURNAL = "echo.p0.j.echo";
const REFUSED: Readonly<Record<Role, readonly string[]>> = {
  publisher: [
    JOURNAL,
    "echo.p0.r.table",
    "echo.p0.m",
    "echo.out.0.k.echo.seen",
    "echo.skips.0",
    "$KV.tidemark-logs.echo",
    "$JS.API.STREAM.DELETE.echo-0",
    "$JS.API.STREAM.PURGE.echo-0",
    "$JS.API.STREAM.INFO.echo-0",
  ],
  reader: [
    "echo.k",
    "echo.5.e.k",
    JOURNAL,
    "echo.out.0.k.echo.seen",
    `${READER_API}.DIRECT.GET.echo-0`,
    `${READER_API}.CONSUMER.CREATE.echo-out-0.mine`,
    "$JS.API.STREAM.DELETE.echo-out-0",
  ],
  doctor: [
    "echo.5.e.k",
    JOURNAL,
    "echo.out.0.k.echo.seen",
    "$JS.API.STREAM.UPDATE.echo-0",
    "$JS.API.STREAM.DELETE.echo-0",
    "$JS.API.STREAM.MSG.GET.echo-0",
  ],
  operator: ["echo.5.e.k", JOURNAL, "echo.out.0.k.echo.seen", "$KV.tidemark-logs.echo"],
  runtime: ["$JS.API.STREAM.DELETE.echo-0", "$JS.API.STREAM.DELETE.KV_tidemark-logs", "mine"],
};

suite("each role", { timeout: 120_000 }, () => {
  test("of a node runs it, in production, without a word of what it may not", () => {
    assert.doesNotMatch(node.log, /Permissions|cannot be seen|NATS_/);
  });

  for (const [role, subjects] of Object.entries(REFUSED) as [Role, readonly string[]][]) {
    test(`of a ${role} is refused what is another's, and nothing is changed by it`, async () => {
      const was = await sizes();
      for (const subject of subjects)
        assert.equal(await answerTo(role, subject, "{}"), `Permissions Violation for Publish to "${subject}"`, subject);
      assert.deepEqual(await sizes(), was);
    });
  }

  test("of a publisher publishes: to a key, to a slot, in a batch; a reader reads what came of it, by number and through a consumer", async () => {
    const acks = [
      await answerTo("publisher", "echo.k", event("1")),
      await answerTo("publisher", `echo.${SLOT}.e.k`, event("2")),
      await answerTo("publisher", `echo.p${P}.b.1`, `[${event("3")}]`),
    ];
    for (const ack of acks) assert.equal((JSON.parse(ack) as { stream: string }).stream, `echo-${P}`, ack);
    await untilShards(await node.ready, (shards) => shards.reduce((sum, { outputsStored }) => sum + outputsStored, 0) >= 2);
    const { state } = JSON.parse(await answerTo("reader", `${READER_API}.STREAM.INFO.${OUT}`)) as { state: { messages: number } };
    assert(state.messages >= 2);
    const seen = JSON.parse(await answerTo("reader", `${READER_API}.DIRECT.GET.${OUT}`, '{"seq":1}')) as { type: string };
    assert.equal(seen.type, "echo.seen");
    const made = { stream_name: OUT, action: "create", config: { name: "mine", durable_name: "mine", ack_policy: "explicit" } };
    assert.doesNotMatch(await answerTo("operator", `$JS.API.CONSUMER.CREATE.${OUT}.mine`, JSON.stringify(made)), /"error"/);
    const consumer = await jetstream(as("reader"), { apiPrefix: READER_API, checkAPI: false }).consumers.get(OUT, "mine");
    const numbers: number[] = [];
    for await (const message of await consumer.fetch({ max_messages: 2, expires: 10_000 })) {
      numbers.push(message.seq);
      assert(await message.ackAck());
    }
    assert.deepEqual(numbers, [1, 2]);
    assert.equal((await consumer.info()).ack_floor.stream_seq, 2);
  });

  test("gets its answers and has them written nowhere else, whatever reply it names", async () => {
    const was = await sizes();
    as("publisher").publish(`echo.${SLOT}.e.k`, event("4"), { reply: JOURNAL });
    await as("publisher").flush();
    as("reader").publish(`${READER_API}.DIRECT.GET.${OUT}`, '{"seq":1}', { reply: `echo.${SLOT}.e.k` });
    as("reader").publish(`${READER_API}.CONSUMER.MSG.NEXT.${OUT}.mine`, '{"batch":1,"no_wait":true}', { reply: JOURNAL });
    await as("reader").flush();
    // Behind this one everything before it has been answered.
    assert.match(await answerTo("publisher", `echo.${SLOT}.e.k`, event("5")), /"stream":"echo-/);
    await untilShards(await node.ready, (shards) => shards.every(({ lag }) => lag === 0));
    const { [`echo-${P}`]: log, [`echo-${1 - P}`]: other } = await sizes();
    assert.deepEqual([log, other], [was[`echo-${P}`]! + 2, was[`echo-${1 - P}`]]);
  });

  test("of a doctor sees what is wrong", async () => {
    const env = { TIDEMARK_NATS_URL: urlOf("doctor"), TIDEMARK_DATA_DIR: folder, NO_COLOR: "1" };
    const { stdout, stderr } = await runPiped(["doctor", "--url", await node.ready], env);
    assert.equal(stderr, "");
    const checks = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { check: string; status: string });
    const named = new Map(checks.map(({ check, status }) => [check, status]));
    for (const check of [
      "server nats-1",
      "clock of nats-1",
      "sync of nats-1",
      "disk of nats-1",
      "permissions",
      "mapping of echo",
      "streams",
    ])
      assert.equal(named.get(check), "ok", check);
    assert.equal(named.get("replicas"), "ok");
  });
});
