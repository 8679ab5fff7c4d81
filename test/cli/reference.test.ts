/** `tidemark reference put|get` against a live node. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startBilling } from "../support/billing-node.ts";
import { runOnTerminal, runPiped } from "../support/cli-run.ts";

const { url, log, table, data, wrongData } = await startBilling();

const record = (id: string, version: number, value: unknown = data(version), effectiveFrom = `2026-0${version}-01T00:00:00.000Z`) => ({
  id,
  version,
  effectiveFrom,
  data: value,
});
const put = async (records: readonly unknown[], ...words: string[]) => {
  const text = records.map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join("\n");
  const ended = await runPiped(["reference", "put", log, table, ...words, "--url", url], {}, text);
  return { ...ended, report: ended.stdout === "" ? undefined : (JSON.parse(ended.stdout) as Record<string, unknown>) };
};
const get = async (...words: string[]) => {
  const { code, stdout, stderr } = await runPiped(["reference", "get", log, table, ...words, "--url", url]);
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
};
/** A table is shown as of a commit: waits until the first record is in force with that version. */
const untilInForce = async (version: number, ...words: string[]) => {
  for (;;) {
    const items = await get(...words);
    if (items[0]?.version === version) return items;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
};
const counted = (report: Record<string, unknown> | undefined) => [report?.written, report?.unchanged, report?.refused];

suite("a file of records", () => {
  test("is put in its order, every version, and found by time", { timeout: 30_000 }, async () => {
    const { code, report, stderr } = await put([record("day", 1), record("night", 1), record("day", 2), record("day", 3)]);
    assert.deepEqual([code, counted(report), report?.missing, stderr], [0, [4, 0, 0], [], ""]);
    assert.deepEqual(
      (await get("day")).map(({ version }) => version),
      [1, 2, 3],
    );
    const inForce = await untilInForce(2, "--as-of", "2026-02-15T00:00:00Z");
    assert.deepEqual(
      inForce.map(({ id }) => id),
      ["day", "night"],
    );
    assert.deepEqual(
      (await get("--prefix", "ni", "--as-of", "2026-02-15T00:00:00Z")).map(({ id }) => id),
      ["night"],
    );
  });

  test("put again changes nothing", async () => {
    const { code, report } = await put([record("day", 1), record("night", 1)]);
    assert.deepEqual([code, counted(report)], [0, [0, 2, 0]]);
  });

  test("with a dry run is checked and not put", async () => {
    const { code, report } = await put([record("dry", 1)], "--dry-run");
    assert.deepEqual([code, counted(report), report?.dryRun], [0, [1, 0, 0], true]);
    assert.deepEqual(await get("--prefix", "dry", "--as-of", "2026-12-01T00:00:00Z"), []);
  });

  test("with some that cannot be put: the rest is, the bad ones are named by line, and it fails", async () => {
    const lower = record("day", 1, data(9));
    const { code, report, stderr } = await put([
      record("more", 1),
      "{",
      lower,
      record("bad", 1, wrongData),
      { version: 1 },
      record("..", 1),
      record("more", 2),
    ]);
    assert.deepEqual([code, counted(report)], [1, [2, 0, 5]]);
    assert.match(stderr, /^tidemark: line 2: INPUT_INVALID: /m);
    assert.match(stderr, /^tidemark: line 3, id day: REFERENCE_CONFLICT: (?!REFERENCE)/m);
    assert.match(stderr, /^tidemark: line 4, id bad: REFERENCE_INVALID: /m);
    assert.match(stderr, /^tidemark: line 5: INPUT_INVALID: A record has an id/m);
    assert.match(stderr, /^tidemark: line 6, id \.\.: INPUT_INVALID: /m);
  });

  test("for a table that is not there stops at the first one", async () => {
    const { code, stdout, stderr } = await runPiped(
      ["reference", "put", log, "other", "--url", url],
      {},
      `${JSON.stringify(record("a", 1))}\n`.repeat(3),
    );
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^tidemark: NOT_FOUND: [^\n]*\n$/);
  });
});

suite("who puts records", () => {
  const file = fileURLToPath(import.meta.url);

  test("and forgot the table or the log, is told what was meant, and nothing is read", async () => {
    for (const [words, meant] of [
      [[log, file], `tidemark reference put ${log} <table> ${file}`],
      [[file, table], `tidemark reference put <log> <table> ${file}`],
    ] as const) {
      const { code, stderr } = await runOnTerminal(["reference", "put", ...words, "--url", url]);
      assert.equal(code, 2);
      assert.ok(stderr.includes(`did you mean: ${meant}. `), stderr);
    }
    assert.match(
      (await runOnTerminal(["reference", "put", "other", table, "--url", url])).stderr,
      /^tidemark: LOG_MISSING: There is no log/,
    );
  });

  test("on a terminal and names no file, is told that it is read", async () => {
    const { stderr } = await runOnTerminal(["reference", "put", log, table, "--url", url]);
    assert.match(stderr, /^tidemark: reads standard input/);
  });
});

test("on a terminal records and versions are tables", async () => {
  const { code, stdout } = await runOnTerminal(["reference", "get", log, table, "night", "--url", url], { NO_COLOR: "1" });
  assert.equal(code, 0);
  assert.deepEqual(stdout.split("\n").slice(0, 2), [
    "VERSION  EFFECTIVE FROM            DATA",
    `      1  2026-01-01T00:00:00.000Z  ${JSON.stringify(data(1))}`,
  ]);
  const wrong = await runOnTerminal(["reference", "get", log, table, "--as-of", "May", "--url", url]);
  assert.equal(wrong.code, 2);
});
