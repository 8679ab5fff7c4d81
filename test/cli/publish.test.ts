/** `tidemark publish` against a real node: what arrives, what is refused, and what it does when node or server die meanwhile. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { SHIPPED_APP } from "../../runtime/own-package.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { runOnTerminal, runPiped, startCli } from "../support/cli-run.ts";
import { cloudEvent } from "../support/entries.ts";
import { freePort } from "../support/free-port.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess, untilShards } from "../support/node-process.ts";

const DAY = Date.UTC(2026, 2, 1);
const folder = mkdtempSync(join(tmpdir(), "tidemark-publish-"));
const nats = await startTestNats({ after }, { logs: ["meter"] });
const port = await freePort();
let node = startNode();
const url = await node.ready;
after(async () => {
  await node.kill();
  rmSync(folder, { recursive: true, force: true });
});

function startNode(): NodeProcess {
  const options = { app: SHIPPED_APP, natsUrl: nats.url, dataDir: join(folder, "data"), env: { TIDEMARK_HTTP_PORT: String(port) } };
  return new NodeProcess(options);
}

let made = 0;
/** Events of `keys` keys in turn, with ids and times of their own. */
function eventsOf(count: number, keys = 10): string[] {
  return Array.from({ length: count }, () => {
    const n = made++;
    const key = `key-${n % keys}`;
    return JSON.stringify(cloudEvent({ id: `e-${n}`, key, time: DAY + n }));
  });
}

/** Events that the tests so far have published: each was applied once. */
let applied = 0;

const sumOf = (shards: readonly ShardReport[], name: string): number => shards.reduce((sum, { counts }) => sum + (counts[name] ?? 0), 0);

/** Resolves when some of what is being published now was applied. */
async function untilSomeApplied(): Promise<void> {
  await untilShards(url, (shards) => sumOf(shards, "applied") > applied);
}

/** Resolves when so many more were applied; more than that must never be. */
async function untilApplied(more: number): Promise<void> {
  applied += more;
  const shards = await untilShards(url, (all) => sumOf(all, "applied") >= applied && all.every(({ lag }) => lag === 0));
  assert.equal(sumOf(shards, "applied"), applied);
}

const publish = (args: readonly string[], stdin = "") => runPiped(["publish", "meter", ...args, "--url", url], {}, stdin);
const summaryOf = ({ stdout }: { stdout: string }) => JSON.parse(stdout) as Record<string, unknown>;

suite("a file of events", () => {
  for (const [name, text] of [
    ["NDJSON", (events: readonly string[]) => `${events.join("\n")}\n`],
    ["a JSON array", (events: readonly string[]) => `[\n${events.join(",\n")}\n]`],
  ] as const) {
    test(`as ${name} is appended as a whole, each event once`, { timeout: 60_000 }, async () => {
      const file = join(folder, "events");
      writeFileSync(file, text(eventsOf(120)));
      const ended = await publish([file, "--batch", "7"]);
      assert.deepEqual([ended.code, ended.stderr], [0, ""]);
      assert.deepEqual(summaryOf(ended), { log: "meter", read: 120, appended: 120, refused: 0, complete: true, refusals: [] });
      await untilApplied(120);
    });
  }

  test("published twice is appended twice and applied once", { timeout: 60_000 }, async () => {
    const text = eventsOf(50).join("\n");
    for (const _ of [1, 2]) assert.equal((await publish(["-"], text)).code, 0);
    await untilApplied(50);
    await untilShards(url, (shards) => sumOf(shards, "duplicate") === 50);
  });

  test("with some that are none: the rest is appended, the bad ones are named by line, and it fails", { timeout: 60_000 }, async () => {
    const [good = "", other = ""] = eventsOf(2);
    const untyped = JSON.stringify({ ...JSON.parse(good), id: "untyped", type: undefined });
    const ended = await publish([], [good, "{", untyped, "[]", "7", "\u001b[31m", other].join("\n"));
    assert.equal(ended.code, 1);
    const { appended, refused, complete, refusals } = summaryOf(ended);
    assert.deepEqual([appended, refused, complete], [2, 5, true]);
    assert.deepEqual(
      (refusals as { line: number; code: string; id: string }[]).map(({ line, code, id }) => [line, code, id]),
      [
        [2, "INPUT_INVALID", ""],
        [3, "EVENT_INVALID", "untyped"],
        [4, "INPUT_INVALID", ""],
        [5, "INPUT_INVALID", ""],
        [6, "INPUT_INVALID", ""],
      ],
    );
    assert.match(ended.stderr, /^tidemark: line 3, id untyped: EVENT_INVALID: /m);
    assert.ok(!ended.stderr.includes("\u001b"), "what is in the file does not reach the terminal as it is");
    await untilApplied(2);
  });

  test("with many that are none shows the first ten and counts the others", { timeout: 60_000 }, async () => {
    const ended = await publish([], "x\n".repeat(1_000));
    assert.equal((summaryOf(ended).refusals as unknown[]).length, 10);
    assert.match(ended.stderr, /line 10: .*\n.*and 990 more were refused/);
  });

  test("on a terminal has a bar and a sentence", { timeout: 60_000 }, async () => {
    const file = join(folder, "events.ndjson");
    writeFileSync(file, eventsOf(30).join("\n"));
    const { code, stdout, stderr } = await runOnTerminal(["publish", "meter", file, "--url", url]);
    assert.deepEqual([code, stdout], [0, "30 of 30 events appended to meter\n"]);
    assert.match(stderr.split("\u001b[K").at(-1)!, /^publishing meter {2}\[#{30}\] 100 % {2}30 events {2}\d+\/s\n$/);
    await untilApplied(30);
  });

  test("that cannot be read, or goes to a log that is not there, says so", { timeout: 60_000 }, async () => {
    for (const [args, says] of [
      [[join(folder, "no-such-file")], /INPUT_INVALID: There is no file .*no-such-file\./],
      [[folder], /INPUT_INVALID: .* is a folder/],
    ] as const) {
      const { code, stderr } = await publish(args);
      assert.equal(code, 1);
      assert.match(stderr, says);
    }
    const { code, stdout, stderr } = await runPiped(["publish", "metre", "--url", url], {}, eventsOf(1)[0]);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /LOG_MISSING: There is no log "metre" on http:\S+; did you mean "meter"\. /);
    const array = await publish([], "[1,,2]");
    assert.equal(array.code, 1);
    assert.match(array.stderr, /INPUT_INVALID: Line 1 of the JSON array: /);
  });
});

suite("who publishes", () => {
  test("and forgot the log, is told what was meant, and nothing is read", async () => {
    const file = join(folder, "readings.ndjson");
    writeFileSync(file, eventsOf(1)[0]!);
    const { code, stdout, stderr } = await runOnTerminal(["publish", file, "--url", url]);
    assert.deepEqual([code, stdout], [2, ""]);
    assert.equal(stderr.includes(`is no name of a log: those are of a-z, 0-9 and -; did you mean: tidemark publish <log> ${file}. `), true);
    const swapped = await runOnTerminal(["publish", file, "meter", "--url", url]);
    assert.ok(swapped.stderr.includes(`did you mean: tidemark publish meter ${file}. `), swapped.stderr);
    const none = await runOnTerminal(["publish", "No_Log", "--url", url]);
    assert.match(none.stderr, /"No_Log" is no name of a log: those are of a-z, 0-9 and -\. /);
  });

  test("on a terminal and names no file, is told that it is read, and how that ends", async () => {
    const { code, stderr } = await runOnTerminal(["publish", "meter", "--url", url]);
    assert.equal(code, 0);
    assert.match(stderr, /^tidemark: reads standard input, one JSON document a line; Ctrl-D at the start of a line ends it\n/);
    assert.equal((await publish([])).stderr, "");
  });

  test("a document over several lines is told to write one a line", async () => {
    const { stderr } = await publish([], JSON.stringify(JSON.parse(eventsOf(1)[0]!), null, 2));
    assert.match(stderr, /^tidemark: line 1: INPUT_INVALID: A document that goes over several lines: write one a line, /);
  });
});

suite("a publish that is interrupted", () => {
  test("sends what waits while its input has nothing to give, and ends with 130 at Ctrl-C", { timeout: 60_000 }, async (t) => {
    const running = startCli(t, ["publish", "meter", "--url", url]);
    running.child.stdin.write(`${eventsOf(3).join("\n")}\n`);
    await untilApplied(3);
    running.child.kill("SIGINT");
    const ended = await running.ended;
    assert.equal(ended.code, 130);
    assert.deepEqual([summaryOf(ended).appended, summaryOf(ended).complete], [3, false]);
  });

  test("by the death of the node goes on when that is back: nothing is lost, nothing is applied twice", { timeout: 120_000 }, async (t) => {
    const running = startCli(t, ["publish", "meter", "--batch", "20", "--url", url]);
    const events = eventsOf(3_000);
    running.child.stdin.write(`${events.slice(0, 1_500).join("\n")}\n`);
    await untilSomeApplied();
    await node.kill();
    running.child.stdin.end(events.slice(1_500).join("\n"));
    await running.saying("trying again");
    node = startNode();
    const ended = await running.ended;
    assert.deepEqual(
      [ended.code, summaryOf(ended)],
      [0, { log: "meter", read: 3_000, appended: 3_000, refused: 0, complete: true, refusals: [] }],
    );
    await node.ready;
    await untilApplied(3_000);
  });

  test("by the death of the NATS server goes on when that is back", { timeout: 120_000 }, async (t) => {
    const running = startCli(t, ["publish", "meter", "--batch", "20", "--url", url]);
    const events = eventsOf(1_000);
    running.child.stdin.write(`${events.slice(0, 500).join("\n")}\n`);
    await untilSomeApplied();
    await nats.kill();
    running.child.stdin.end(events.slice(500).join("\n"));
    await running.saying("trying again");
    await nats.restart();
    const ended = await running.ended;
    assert.deepEqual([ended.code, summaryOf(ended).appended], [0, 1_000], ended.stderr);
    await untilApplied(1_000);
  });
});

suite("an input in the order of time", () => {
  test("makes no event late, however far apart the keys lie in it", { timeout: 120_000 }, async () => {
    // 5 minutes from one to the next: batches that overtook each other would be days apart.
    const events = Array.from({ length: 3_000 }, (_, n) =>
      JSON.stringify(cloudEvent({ id: `timely-${n}`, key: `key-${n % 300}`, time: DAY + 3_600_000 + n * 300_000 })),
    );
    assert.equal((await publish(["--batch", "1000"], events.join("\n"))).code, 0);
    const shards = await untilShards(
      url,
      (all) => all.every(({ lag }) => lag === 0) && sumOf(all, "applied") + sumOf(all, "late") >= applied + events.length,
    );
    assert.deepEqual([sumOf(shards, "late"), sumOf(shards, "applied")], [0, applied + events.length]);
  });
});
