/** `tidemark actor … --test`: what a key was given on a running node runs as a test, green by that build and red by another. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { allOutputs } from "../support/api-node.ts";
import { runCli, runPiped } from "../support/cli-run.ts";
import { cloudEvent, T0 } from "../support/entries.ts";
import { exportedProject } from "../support/exported-project.ts";
import { startTestNats } from "../support/nats.ts";
import { getJson, NodeProcess, untilShards } from "../support/node-process.ts";

const KEY = "ann's";
const OTHERS = Array.from({ length: 8 }, (_, i) => `other-${i}`);
/** A question that folds more than this becomes an operation. */
const BOUND = 25;

const { folder, run } = exportedProject();
const calls = createServer((request, response) => {
  let body = "";
  request.on("data", (text) => {
    body += text;
  });
  request.on("end", () => {
    const { cents } = JSON.parse(body) as { readonly cents: number };
    response.setHeader("content-type", "application/json").end(JSON.stringify({ rate: cents + 1 }));
  });
});
await new Promise<void>((resolve) => {
  calls.listen(0, "127.0.0.1", resolve);
});
const callUrl = `http://127.0.0.1:${(calls.address() as AddressInfo).port}/rate`;

function appOf(name: string, sum: string): string {
  const file = join(folder, name);
  writeFileSync(
    file,
    `import { actor, http, job, output, reference, stream, timer, Type, value } from "tidemark";
const rates = reference("rates", { schema: Type.Object({ rate: Type.Number() }) });
const account = actor("account", {
  in: { paid: stream("paid", { schema: Type.Object({ cents: Type.Integer() }) }) },
  out: { sum: output("sum", { schema: Type.Any() }), rated: output("rated", { schema: Type.Any() }), quiet: output("quiet", { schema: Type.Any() }) },
  state: { cents: value(Type.Integer(), 0) },
  timers: { quiet: timer("event"), soon: timer("processing") },
  effects: { rate: http(${JSON.stringify(callUrl)}, { input: Type.Object({ cents: Type.Integer() }), output: Type.Object({ rate: Type.Integer() }), timeout: "60s" }) },
  reference: { rates },
  on: {
    paid(ctx, { cents }) {
      if (cents < 0) throw new RangeError("too little");
      ctx.state.cents.update((sum) => sum + Math.round(cents * (ctx.reference.rates.get("euro")?.data.rate ?? 1)));
      ctx.out.sum({ cents: ${sum} });
      ctx.timers.quiet.at(ctx.now + 5_000);
      ctx.timers.soon.at(ctx.processingTime + 100);
      if (cents === 7) ctx.effects.rate({ cents });
    },
    rate: { done: (ctx, { rate }) => ctx.out.rated({ rate, cents: ctx.state.cents.get() }), failed: (ctx, { code }) => ctx.out.rated({ code }) },
    quiet: (ctx) => ctx.out.quiet({ watermark: ctx.watermark }),
    soon: (ctx) => ctx.out.quiet({ soon: ctx.processingTime }),
  },
});
export default [job("accounts", { log: "accounts", actors: [account], outOfOrderness: "1s", idle: "hold" })];
`,
  );
  return file;
}

const app = appOf("app.ts", "ctx.state.cents.get()");
appOf("changed.ts", "ctx.state.cents.get() + (cents === 7 ? 1 : 0)");
const nats = await startTestNats({ after }, { logs: ["accounts"] });
const env = { TIDEMARK_HISTORY_ENTRIES: String(BOUND) };
const node = new NodeProcess({ app, natsUrl: nats.url, dataDir: join(folder, "data"), env });
after(async () => {
  await node.kill();
  calls.closeAllConnections();
  calls.close();
});
const url = await node.ready;
await untilShards(url, (shards) => shards.every(({ status }) => status === "running"));

const paid = (id: string, key: string, seconds: number, cents: number) =>
  cloudEvent({ id, key, type: "paid", time: T0 + seconds * 1_000, data: { cents } });

/** Their positions. */
async function publish(...events: readonly object[]): Promise<string[]> {
  const headers = { "content-type": "application/cloudevents-batch+json" };
  const answer = await fetch(`${url}/v1/logs/accounts/events`, { method: "POST", headers, body: JSON.stringify(events) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return ((await answer.json()) as { results: { position: string }[] }).results.map(({ position }) => position);
}

const ofKey = async (): Promise<string[]> =>
  (await allOutputs<{ type: string }>(url, `&key=${encodeURIComponent(KEY)}`)).map(({ type }) => type);

/** So many sums and answers of the key are published, of its timers only `left` wait, and nothing is left to publish. How often `soon` fired is the clock's. */
async function untilPublished(sums: number, left: readonly string[]): Promise<void> {
  for (;;) {
    const types = await ofKey();
    if (types.filter((type) => type === "sum").length === sums && types.includes("rated")) {
      // What is published need not be committed yet.
      const answer = await fetch(`${url}/v1/actors/account/${encodeURIComponent(KEY)}`);
      const { timers = [] } = (await answer.json()) as { readonly timers?: readonly { readonly name: string }[] };
      if (answer.ok && timers.map(({ name }) => name).join() === left.join()) break;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
  await untilShards(url, (shards) => shards.every(({ lag, outputs, outputsStored }) => lag === 0 && outputsStored >= outputs));
}

const putRate = async (version: number, rate: number): Promise<void> => {
  const record = { id: "euro", version, effectiveFrom: new Date(T0 - 60_000 + version).toISOString(), data: { rate } };
  const { code, stderr } = await runPiped(["reference", "put", "accounts", "rates", "--url", url], {}, JSON.stringify(record));
  assert.equal(code, 0, stderr);
};

// What other keys bring about stands between: the watermark, the clock, entries of their own.
await publish(...OTHERS.map((key, i) => paid(`o${i}`, key, i, 1)));
await putRate(1, 2);
await publish(paid("e1", KEY, 10, 100));
// A batch of three keys, in which one event of ours is late, one is a duplicate and one fails.
const batch = await publish(
  ...[
    paid("e2", KEY, 11, 7),
    paid("x1", OTHERS[0]!, 11, 1),
    paid("e1", KEY, 10, 100),
    paid("e3", KEY, 11, -5),
    paid("x2", OTHERS[1]!, 12, 1),
  ],
  paid("e4", KEY, 12, 3),
);
await untilPublished(3, ["quiet"]);
await putRate(2, 0.5);
await publish(...OTHERS.map((key, i) => paid(`p${i}`, key, 20, 1)));
await untilPublished(3, []);
await publish(paid("e5", KEY, 21, 9));
await untilPublished(4, ["quiet"]);
// Of the rest of the entries nothing is about the key.
for (let i = 0; i < BOUND; i++) await publish(...OTHERS.map((key) => paid(`r${i}`, key, 21, 1)));
await untilPublished(4, ["quiet"]);

const exported = async (...words: string[]) => await runCli(["actor", "account", KEY, "--test", ...words, "--url", url]);

suite("the history of a key on a running node", () => {
  test("is a test that is green by the build that published it, and red by one that publishes something else", async () => {
    const { code, stdout, stderr } = await exported();
    assert.equal(code, 0, stderr);
    for (const part of ["putReference", "kit.reply(", "advanceWatermark", '"id":"e1"', '"id":"e5"', '"type":"rated"'])
      assert(stdout.includes(part), `${part} is not in ${stdout}`);
    assert.equal(stdout.split('"id":"e1"').length, 3, "an event that came twice is given twice");
    assert(!stdout.includes("other-"), "what other keys were given is not in it");
    const green = run("whole.test.ts", stdout);
    assert.equal(green.status, 0, `${green.out}\n${stdout}`);
    assert.match(green.out, /pass 1/);
    const changed = await exported("--app", "changed.ts");
    const red = run("changed.test.ts", changed.stdout);
    assert.equal(red.status, 1, red.out);
    assert.match(red.out, /Expected values to be strictly deep-equal/);
  });

  test("that took many entries is folded by an operation", async () => {
    // The states that are open stand behind the key's beginning: all of it is folded again.
    const answer = await fetch(`${url}/v1/actors/account/${encodeURIComponent(KEY)}/given`);
    assert.equal(answer.status, 202, await answer.clone().text());
    const { id } = (await answer.json()) as { readonly id: string };
    const published = (await ofKey()).filter((type) => !type.startsWith("tidemark.")).length;
    for (;;) {
      const operation = await getJson<{ status: string; result?: { steps: object[]; outputs: object[] } }>(`${url}/v1/operations/${id}`);
      if (operation.status === "running") continue;
      assert.deepEqual([operation.status, operation.result!.outputs.length], ["succeeded", published]);
      break;
    }
  });

  test("up to a position within a batch is the beginning of it, and green as well", async () => {
    const { code, stdout, stderr } = await exported("--at", batch[0]!);
    assert.equal(code, 0, stderr);
    assert(stdout.includes('"id":"e2"') && !stdout.includes('"id":"e4"'), stdout);
    const green = run("beginning.test.ts", stdout);
    assert.equal(green.status, 0, `${green.out}\n${stdout}`);
  });

  test("that cannot be told is refused, with what to do", async () => {
    const [partition, sequence] = batch[0]!.split(/[:.]/).map(Number);
    const refused = async (words: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await runPiped(["actor", "account", ...words, "--url", url]);
      assert.notEqual(code, 0);
      assert.equal(stdout, "");
      return stderr;
    };
    assert.match(await refused([KEY, "--test", "--at", `${partition}:${sequence! + 100_000}.0`]), /NOT_YET/);
    assert.match(await refused([KEY, "--test", "--at", `${1 - partition!}:1.0`]), /INPUT_INVALID: at: /);
    assert.match(await refused([KEY, "--test", "--at", `${partition}:1.0`]), /NOT_FOUND/);
    assert.match(await refused(["nobody", "--test"]), /NOT_FOUND/);
    assert.match(await refused([KEY, "--test", "--at", "2026-01-15T12:00:00Z"]), /--test ends at a position/);
    assert.match(await refused([KEY, "--test", "--timeline"]), /--test and --timeline/);
    assert.match(await refused([KEY, "--app", "app.ts"]), /--app is for --test/);
  });
});
