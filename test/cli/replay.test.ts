/** `tidemark replay` over the log of a real node: the same build, a changed one, parts, archives, and a kill. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { allOutputs } from "../support/api-node.ts";
import { runCli, runPiped, startCli } from "../support/cli-run.ts";
import { cloudEvent, T0 } from "../support/entries.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess, sequenceOf, untilShards } from "../support/node-process.ts";
import { wide } from "../support/wide.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const KEYS = 40;
const ROUNDS = 25;
const EVENTS = KEYS * ROUNDS;

const folder = mkdtempSync(join(tmpdir(), "tidemark-replay-"));
after(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, "package.json"), '{ "type": "module" }');

/** `paid`: what the handler does. A call is made for every tenth payment; those of the key "k7" are never answered. */
function appOf(name: string, callUrl: string, version: number, paid: string): string {
  const file = join(folder, name);
  writeFileSync(
    file,
    `import { actor, counter, http, job, output, stream, timer, Type, value } from ${JSON.stringify(join(ROOT, "index.ts"))};
const Paid = Type.Object({ n: Type.Integer(), cents: Type.Integer() });
const account = actor("account", {
  version: ${version},
  in: { paid: stream("paid", { schema: Paid }) },
  out: { sum: output("sum", { schema: Type.Object({ cents: Type.Integer() }) }), rated: output("rated", { schema: Type.Any() }), quiet: output("quiet", { schema: Type.Any() }) },
  state: { cents: value(Type.Integer(), 0), payments: counter() },
  timers: { quiet: timer("event") },
  effects: { rate: http(${JSON.stringify(callUrl)}, { input: Type.Object({ key: Type.String(), n: Type.Integer() }), output: Type.Object({ rate: Type.Integer() }), timeout: "120s" }) },
  on: {
    paid(ctx, { n, cents }) { ctx.state.cents.update((sum) => sum + cents); ctx.state.payments.add(); ctx.timers.quiet.at(ctx.now + 5_000); ${paid} if (n % 10 === 0) ctx.effects.rate({ key: ctx.key, n }); },
    rate: { done(ctx, { rate }) { ctx.out.rated({ rate, cents: ctx.state.cents.get() }); }, failed(ctx, { code }) { ctx.out.rated({ code }); } },
    quiet(ctx) { ctx.out.quiet({ payments: ctx.state.payments.get() }); },
  },
});
export default job("accounts", { log: "accounts", actors: [account], outOfOrderness: "1s" });
`,
  );
  return file;
}

interface Replayed {
  readonly shadow: string;
  readonly events: number;
  readonly outputs: number;
  readonly unanswered: number;
  readonly diff: { readonly equal: number; readonly changed: number; readonly added: number; readonly missing: number } | null;
  readonly partitions: readonly {
    readonly partition: number;
    readonly from: string | null;
    readonly outputs: number;
    readonly malformed: number;
    readonly malformedLines: readonly { readonly line: number; readonly why: string }[];
    readonly types: Record<string, number>;
    readonly snapshot: string | null;
    readonly stateHash: string;
  }[];
}

interface Difference {
  readonly class: string;
  readonly fields?: readonly string[];
  readonly published?: { readonly causeid: string };
  readonly replayed?: { readonly causeid: string };
}

const calls = createServer((request, response) => {
  let body = "";
  request.on("data", (text) => {
    body += text;
  });
  request.on("end", () => {
    const { key, n } = JSON.parse(body) as { readonly key: string; readonly n: number };
    asked++;
    if (key === "k7") return;
    response.setHeader("content-type", "application/json").end(JSON.stringify({ rate: n }));
  });
});
let asked = 0;

async function replay(args: readonly string[]): Promise<Replayed & { readonly code: number | null; readonly stderr: string }> {
  const { code, stdout, stderr } = await runCli(["replay", "accounts", ...args, "--json"], environment());
  assert.notEqual(stdout, "", stderr);
  return { ...(JSON.parse(stdout) as Replayed), code, stderr };
}

function environment(): Record<string, string> {
  return { TIDEMARK_NATS_URL: nats.url, TIDEMARK_DATA_DIR: join(folder, "cli"), TIDEMARK_PARTITIONS: "2" };
}

function eventsOf(round: number) {
  return Array.from({ length: KEYS }, (_, i) =>
    cloudEvent({ id: `${round}-${i}`, key: `k${i}`, type: "paid", time: T0 + round * 1_000 + i, data: { n: round, cents: round * i } }),
  );
}

async function publish(rounds: readonly number[]): Promise<void> {
  for (const round of rounds) {
    const headers = { "content-type": "application/cloudevents-batch+json" };
    const answer = await fetch(`${url}/v1/logs/accounts/events`, { method: "POST", headers, body: JSON.stringify(eventsOf(round)) });
    assert.equal(answer.status, 200, await answer.text());
  }
}

await new Promise<void>((resolve) => {
  calls.listen(0, "127.0.0.1", resolve);
});
const callUrl = `http://127.0.0.1:${(calls.address() as AddressInfo).port}/rate`;
const sum = "ctx.out.sum({ cents: ctx.state.cents.get() });";
const v1 = appOf("v1.ts", callUrl, 1, sum);
// Says another sum for the third payment of each key, none for the fifth, and a second one for the seventh.
const v2 = appOf(
  "v2.ts",
  callUrl,
  2,
  `if (n !== 5) ctx.out.sum({ cents: ctx.state.cents.get() + (n === 3 ? 1 : 0) }); if (n === 7) ${sum}`,
);
const nats = await startTestNats({ after }, { logs: ["accounts"] });
const nc = await connect({ servers: nats.url });
const jsm = await jetstreamManager(nc);
const node = new NodeProcess({ app: v1, natsUrl: nats.url, dataDir: join(folder, "data"), env: { TIDEMARK_SNAPSHOT_EVERY: "0s" } });
const url = await node.ready;
after(async () => {
  await node.kill();
  await nc.close();
  calls.closeAllConnections();
  calls.close();
});

await untilShards(url, (shards) => shards.every(({ status }) => status === "running"));
await publish(Array.from({ length: 12 }, (_, i) => i + 1));
await untilStored(12 * KEYS + KEYS - 1);
const middle = await snapshot();
await publish(Array.from({ length: ROUNDS - 12 }, (_, i) => i + 13));
await fetch(`${url}/v1/logs/accounts/watermark`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ time: new Date(T0 + 60_000).toISOString() }),
});
// All but the calls of one key are answered: each of the others gives an output.
await untilStored(EVENTS + (KEYS - 1) * 2 + KEYS);
const published = await allOutputs<{ readonly type: string; readonly position: string }>(url);

async function untilStored(outputs: number): Promise<void> {
  await untilShards(
    url,
    (shards) => shards.reduce((count, shard) => count + shard.outputsStored, 0) === outputs && shards.every(({ lag }) => lag === 0),
  );
}

/** Its id, once it is there. */
async function snapshot(): Promise<string> {
  const { code, stdout, stderr } = await runCli(["snapshot", "create", "--job", "accounts", "--json"], {
    ...environment(),
    TIDEMARK_HTTP_PORT: new URL(url).port,
  });
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { readonly id: string }).id;
}

const streamsOf = async (shadow: string): Promise<string[]> => {
  const names: string[] = [];
  for await (const { config } of jsm.streams.list()) if (config.name.startsWith(`${shadow}-out-`)) names.push(config.name);
  return names.sort();
};

suite("a replay", { timeout: 600_000 }, () => {
  test("by the same build gives what was published, calls nothing, and tells of calls without an answer", async () => {
    const before = asked;
    const { code, diff, events, outputs, unanswered, shadow } = await replay([v1]);
    assert.deepEqual({ ...diff, notCompared: 0 }, { equal: published.length, changed: 0, added: 0, missing: 0, notCompared: 0 });
    assert.deepEqual([code, events, outputs, unanswered, shadow], [0, EVENTS, published.length, 2, "accounts-shadow"]);
    assert.equal(asked, before);
    assert.deepEqual(await streamsOf("accounts-shadow"), ["accounts-shadow-out-0", "accounts-shadow-out-1"]);
    assert.deepEqual(
      readdirSync(join(folder, "cli", "replays", "accounts-shadow")).filter((name) => /^\d+$/.test(name)),
      [],
    );
  });

  test("that was killed is begun again by the same command, and publishes nothing twice", async (t) => {
    const killed = startCli(t, ["replay", "accounts", v1, "--generation", "killed", "--json"], environment());
    for (let messages = 0; messages === 0 && killed.child.exitCode === null; ) {
      const state = await jsm.streams.info("accounts-killed-out-1").then(
        (info) => info.state,
        () => undefined,
      );
      messages = state?.messages ?? 0;
    }
    killed.child.kill("SIGKILL");
    await killed.ended;
    const { code, diff } = await replay([v1, "--generation", "killed"]);
    assert.deepEqual([code, diff?.equal], [0, published.length]);
    let stored = 0;
    for (const stream of await streamsOf("accounts-killed")) stored += (await jsm.streams.info(stream)).state.last_seq;
    assert.equal(stored, published.length);
    const again = await runCli(["replay", "accounts", v2, "--generation", "killed", "--json"], environment());
    assert.equal(again.code, 1);
    assert.match(again.stderr, /SHADOW_DIVERGED/);
  });

  test("by a changed build finds exactly what it publishes otherwise, and writes each of it down", async () => {
    const file = join(folder, "diff.ndjson");
    const { code, diff, unanswered } = await replay([v2, "--generation", "next", "--diff", file]);
    assert.deepEqual([diff?.changed, diff?.added, diff?.missing, diff?.equal], [KEYS, KEYS, KEYS, published.length - 2 * KEYS]);
    assert.deepEqual([code, unanswered], [1, 2]);
    const differences = readFileSync(file, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Difference);
    const rounds = (kind: string) =>
      [
        ...new Set(
          differences.filter((one) => one.class === kind).map(({ published: was, replayed }) => (was ?? replayed)!.causeid.split("-")[0]),
        ),
      ].join();
    assert.deepEqual([differences.length, rounds("changed"), rounds("missing"), rounds("added")], [3 * KEYS, "3", "5", "7"]);
    assert.deepEqual([...new Set(differences.flatMap(({ fields = [] }) => fields))], ["data.cents"]);
  });

  test("from a snapshot compares what lies behind it alone", async () => {
    const { code, diff, partitions } = await replay([v1, "--generation", "late", "--snapshot", middle]);
    const outputs = partitions.reduce((sum, one) => sum + one.outputs, 0);
    assert.deepEqual([code, diff?.equal, diff?.added, diff?.missing], [0, outputs, 0, 0]);
    assert(partitions.every(({ snapshot: id }) => id !== null));
    // Twelve rounds lie before it, with one answered call for each key but one.
    assert.equal(outputs, published.length - 12 * KEYS - (KEYS - 1));
  });

  test("of a range folds what lies before it in silence, from the newest snapshot where there is one", async () => {
    const sequences = published.flatMap(({ position }) => (position.startsWith("0:") ? [sequenceOf(position)] : []));
    const last = Math.max(...sequences);
    for (const [from, to, based] of [
      [2, Math.floor(last / 3), false],
      [last - 3, last - 1, true],
    ] as const) {
      const { code, diff, partitions } = await replay([v1, "--no-publish", "--from", `0:${from}.0`, "--to", `0:${to}.0`]);
      const expected = sequences.filter((sequence) => sequence >= from && sequence <= to).length;
      assert.deepEqual([code, diff?.equal, diff?.added, diff?.missing, partitions.length], [0, expected, 0, 0, 1]);
      assert.equal(partitions[0]!.snapshot !== null, based);
      assert(expected > 0);
    }
    assert.deepEqual(await streamsOf("accounts-other"), []);
  });

  wide("of a range of log time gives what was published of it", async () => {
    const entry = await jsm.streams.getMessage("accounts-1", { seq: 20 });
    const { code, diff, partitions } = await replay([v1, "--no-publish", "--from", entry!.time.toISOString()]);
    assert.equal(code, 0);
    assert(partitions.some(({ partition, from }) => partition === 1 && from === "1:20.0"));
    assert(diff!.equal > 0 && diff!.equal < published.length);
    const until = await replay([v1, "--no-publish", "--to", new Date(entry!.time.getTime() - 1).toISOString()]);
    assert.equal(until.diff!.equal + diff!.equal, published.length);
    const nothing = await replay([v1, "--no-publish", "--from", "2999-01-01T00:00:00Z"]);
    assert.deepEqual([nothing.code, nothing.outputs, nothing.diff?.missing], [1, 0, 0]);
  });

  test("of an archive gives the outputs of its events, names the lines that are none, and needs no server", async () => {
    const archive = join(folder, "archive.ndjson");
    const events = Array.from({ length: ROUNDS }, (_, i) => eventsOf(i + 1)).flat();
    writeFileSync(archive, [...events.map((event) => JSON.stringify(event)), "no event"].join("\n"));
    const args = ["--file", archive, "--watermark", new Date(T0 + 60_000).toISOString()];
    const { code, diff, unanswered, partitions } = await replay([
      v1,
      "--generation",
      "filed",
      ...args,
      "--diff",
      join(folder, "filed.ndjson"),
    ]);
    // No result is recorded in it: the outputs of results are missing, and all others are as they were published.
    assert.deepEqual([diff?.equal, diff?.changed, diff?.added, diff?.missing], [EVENTS + KEYS, 0, 0, (KEYS - 1) * 2]);
    assert.deepEqual([code, unanswered], [1, 2 * KEYS]);
    assert.deepEqual(partitions[0]!.malformedLines, [{ line: EVENTS + 1, why: "it is no JSON" }]);
    const alone = await runCli(["replay", "accounts", v1, ...args, "--generation", "filed", "--no-publish", "--json"], {
      TIDEMARK_DATA_DIR: join(folder, "alone"),
      TIDEMARK_PARTITIONS: "2",
    });
    const replayed = JSON.parse(alone.stdout) as Replayed;
    assert.deepEqual([replayed.diff, replayed.outputs], [null, EVENTS + KEYS]);
    assert.deepEqual(
      replayed.partitions.map(({ stateHash }) => stateHash),
      partitions.map(({ stateHash }) => stateHash),
    );
  });

  test("is dropped by name, and keeps away from a generation", async () => {
    const dropped = await runCli(["replay", "accounts", "--generation", "next", "--drop", "--json"], environment());
    assert.deepEqual([dropped.code, JSON.parse(dropped.stdout)], [0, { shadow: "accounts-next", dropped: 2 }]);
    assert.deepEqual(await streamsOf("accounts-next"), []);
    await jetstream(nc).publish("accounts.p0.j.accounts-taken.epoch", '{"kind":"epoch"}');
    for (const args of [[v1], ["--drop"]]) {
      const refused = await runCli(["replay", "accounts", ...args, "--generation", "taken"], environment());
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /SHADOW_TAKEN/);
    }
    const unknown = await runCli(["replay", "nobody", v1], environment());
    assert.match(unknown.stderr, /APP_INVALID.*has no job "nobody"; it has accounts/);
  });
});

for (const [args, expected] of [
  [["--file", "x", "--from", "start"], /an archive is folded whole/],
  [["--watermark", "2026-01-01T00:00:00Z"], /--watermark is of an archive/],
  [["--diff", "x", "--no-diff"], /opposite/],
  [["--from", "0:7.2"], /write "start"/],
  [["--to", "later"], /write "end"/],
] as const) {
  test(`a replay with ${args.join(" ")} is refused`, async () => {
    const { code, stderr } = await runPiped(["replay", "accounts", ...args], { TIDEMARK_NATS_URL: "nats://127.0.0.1:1" });
    assert.equal(code, 2);
    assert.match(stderr, expected);
  });
}
