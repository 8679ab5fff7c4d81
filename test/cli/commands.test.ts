/** The commands that look and tell, against a real node: what they write on a terminal and as JSON, and how they end. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { startApiNode, untilFolded } from "../support/api-node.ts";
import { runCli, runOnTerminal, runPiped, startCli } from "../support/cli-run.ts";
import { cloudEvent } from "../support/entries.ts";
import { getJson } from "../support/node-process.ts";

const KEYS = ["a", "käse", "..", "red \u001b[31m", "日本"];
const folder = mkdtempSync(join(tmpdir(), "tidemark-commands-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const { url } = await startApiNode("./echo.ts", "echo");

let sent = 0;
async function send(events: readonly object[]): Promise<void> {
  const ended = await runPiped(["publish", "echo", "--url", url], {}, events.map((event) => JSON.stringify(event)).join("\n"));
  assert.equal(ended.code, 0, ended.stderr);
  sent += events.length;
  await untilFolded(url, sent);
}
await send(KEYS.map((key, i) => cloudEvent({ id: `said-${i}`, key, type: "echo.said", data: { n: i } })));
await send(KEYS.slice(0, 2).map((key) => cloudEvent({ id: "failing", key, type: "echo.failing" })));
// The API shows what is committed: the last of each shard.
for (const [key, ids] of [
  ["a", 2],
  ["käse", 2],
  ["..", 1],
  ["日本", 1],
] as const) {
  const remembered = async () =>
    (await getJson<{ dedupe: { count: number } }>(`${url}/v1/actors/echo?key=${encodeURIComponent(key)}`).catch(() => undefined))?.dedupe
      .count;
  while ((await remembered()) !== ids) await new Promise((resolve) => setTimeout(resolve, 25));
}
while ((await getJson<{ items: unknown[] }>(`${url}/v1/actors/echo`)).items.length < KEYS.length)
  await new Promise((resolve) => setTimeout(resolve, 25));

const json = async (...words: string[]) => {
  const { code, stdout, stderr } = await runPiped([...words, "--url", url]);
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
};
/** What differs from run to run stands as a word. */
const shown = async (words: readonly string[], env: Readonly<Record<string, string>> = { NO_COLOR: "1" }) => {
  const { code, stdout, stderr } = await runOnTerminal([...words, "--url", url], env);
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout
    .replace(/\b[01]:\d+\.\d+/g, "POS")
    .replace(/node-[0-9a-f]{12}/g, "NODE")
    .replace(/echo\.([01])\.\d+/g, "echo.$1.K")
    .split("\n")
    .slice(0, -1);
};

suite("on a terminal", () => {
  test("shards are a table", async () => {
    const [title, ...rows] = await shown(["shards"]);
    assert.match(
      title!,
      /^JOB {3}SHARD {2}STATUS {3}POSITION {2,}LAG {2}WATERMARK {17}OUTPUTS {2}ACTORS {2}TIMERS {2}VERSION {2}ROLE {3}NODE$/,
    );
    assert.equal(rows.length, 2);
    for (const [i, row] of rows.entries()) {
      assert.match(
        row,
        new RegExp(`^echo {6}${i} {2}running {2}POS {2,}0 {2}2026-01-15T11:59:00.000Z +\\d {7}\\d {7}0 {8}1 {2}owner {2}NODE$`),
      );
    }
  });

  test("jobs and nodes are tables", async () => {
    assert.deepEqual(await shown(["jobs"]), ["JOB   LOG   VERSION  PARTITIONS  ACTORS", "echo  echo        1           2  echo"]);
    const [title, row] = await shown(["nodes"]);
    assert.match(title!, /^NODE {15}STATUS {3}ZONE {2}OWNS {2}STANDS BY {2}TIDEMARK {2}NODE\.JS {2}STARTED {19}JOBS$/);
    assert.match(row!, /^NODE {2}running {2}- {8}2 {10}0 {2}\S+ +24\.\S+ +\S+Z {2}echo$/);
  });

  test("keys are lines, and no key reaches the terminal as an escape sequence", async () => {
    const lines = await shown(["actors", "echo"]);
    assert.deepEqual(lines.sort(), [...KEYS.map((key) => key.replace("\u001b", "\\u{1b}"))].sort());
    assert.deepEqual(await shown(["actors", "echo", "--prefix", "kä"]), ["käse"]);
    assert.equal((await shown(["actors", "echo", "--limit", "2"])).length, 2);
  });

  test("an actor is its state and what it remembers", async () => {
    assert.deepEqual(await shown(["actor", "echo", "a"]), [
      "echo a",
      "shard 0 at POS, watermark 2026-01-15T11:59:00.000Z",
      "remembers 2 event ids, the oldest of 2026-01-15T12:00:00.000Z",
      "keeps 9 bytes in 2 cells, 0 entries; --json has them by cell",
      "",
      "count  1",
      'last  "said-0"',
    ]);
  });

  test("outputs are a table, side outputs too, in words, and what they hold is never cut", async () => {
    assert.deepEqual(await shown(["outputs", "--key", "a", "--type", "echo.seen"]), [
      "TIME                      ID        TYPE       KEY  DATA",
      '2026-01-15T12:00:00.000Z  echo.0.K  echo.seen  a    {"id":"said-0","data":{"n":0}}',
    ]);
    const { stdout } = await runOnTerminal(["outputs", "--key", "a", "--type", "echo.seen", "--url", url], { NO_COLOR: "1" }, 70);
    assert.ok(stdout.endsWith('  echo.seen  a    {"id":"said-0","data":{"n":0}}\n'), stdout);
    const [, letter] = await shown(["outputs", "--key", "a", "--type", "tidemark.dead-letter"]);
    assert.match(letter!, / {2}a {4}echo\.echo\.failing: asked to fail {2}\{"key":"a",/);
  });

  test("dead letters are a table", async () => {
    const [title, ...rows] = await shown(["dead-letters", "list", "--key", "a"]);
    assert.deepEqual(
      [title, ...rows],
      [
        "ID        TIME                      KEY  HANDLER            REDRIVEN  ERROR",
        "echo.0.K  2026-01-15T12:00:00.000Z  a    echo.echo.failing  -         asked to fail",
      ],
    );
  });

  test("an empty list says so, on stderr", async () => {
    const { code, stdout, stderr } = await runOnTerminal(["dead-letters", "list", "--key", "nobody", "--url", url]);
    assert.deepEqual([code, stdout, stderr], [0, "", "tidemark: none\n"]);
  });

  test("outputs that there are none of are named, with the type that may have been meant", async () => {
    for (const [words, says] of [
      [["--type", "echo.sen"], "no outputs of type echo.sen, and no job declares it; did you mean echo.seen?"],
      [["--type", "tidemark.audits"], "no outputs of type tidemark.audits, and no job declares it; did you mean tidemark.audit?"],
      [["--type", "tidemark.late"], "no outputs of type tidemark.late"],
      [["--type", "echo.seen", "--key", "nobody"], "no outputs of type echo.seen of key nobody"],
    ] as const) {
      const { code, stdout, stderr } = await runOnTerminal(["outputs", ...words, "--url", url]);
      assert.deepEqual([code, stdout, stderr], [0, "", `tidemark: ${says}\n`]);
    }
    assert.equal((await runPiped(["outputs", "--type", "echo.sen", "--url", url])).stderr, "");
  });

  test("colours come, but not with NO_COLOR or a terminal that has none", async () => {
    assert.ok((await shown(["shards"], {})).some((line) => line.includes("\u001b[32mrunning\u001b[0m")));
    for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }] as const)
      assert.ok((await shown(["shards"], env)).every((line) => !line.includes("\u001b")));
  });
});

suite("as JSON", () => {
  test("lists are one document a line, as the API has them", async () => {
    assert.deepEqual(
      (await json("shards")).map(({ job, shard }) => [job, shard]),
      [
        ["echo", 0],
        ["echo", 1],
      ],
    );
    assert.deepEqual(await json("jobs"), (await getJson<{ items: object[] }>(`${url}/v1/jobs`)).items);
    assert.deepEqual(
      (await json("nodes")).map(({ status }) => status),
      ["running"],
    );
    assert.deepEqual((await json("actors", "echo")).sort(), [...KEYS].sort());
    assert.equal((await json("outputs")).length, KEYS.length + 2);
    assert.equal((await json("outputs", "--limit", "3")).length, 3);
  });

  test("an actor is one document, whatever its key is", async () => {
    for (const key of KEYS) assert.equal((await json("actor", "echo", key))[0]!.key, key);
  });

  test("also comes on a terminal with --json", async () => {
    const { stdout } = await runOnTerminal(["jobs", "--json", "--url", url]);
    assert.equal(JSON.parse(stdout).job, "echo");
  });
});

suite("the API", () => {
  test("that is not there is named, with what to do", async () => {
    const { code, stdout, stderr } = await runCli(["shards", "--url", "http://127.0.0.1:9"]);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.equal(
      stderr,
      "tidemark: API_UNREACHABLE: http://127.0.0.1:9: bad port. The API does not answer. Start a node, or say where it is with TIDEMARK_HTTP_PORT or --url. See docs/errors/API_UNREACHABLE.md\n",
    );
  });

  test("that is another's is said to be none", async () => {
    const { code, stderr } = await runPiped(["shards", "--url", `${url}/docs`]);
    assert.equal(code, 1);
    assert.match(stderr, /^tidemark: (NOT_FOUND|API_UNEXPECTED): /);
  });

  test("is taken from the settings when no --url is given", async () => {
    const { port } = new URL(url);
    assert.equal((await runPiped(["jobs"], { TIDEMARK_HTTP_PORT: port })).code, 0);
    const any = await runPiped(["jobs"], { TIDEMARK_HTTP_PORT: "0" });
    assert.equal(any.code, 2);
    assert.match(any.stderr, /TIDEMARK_HTTP_PORT=0 takes any port/);
    const unknown = await runPiped(["jobs"], { TIDEMARK_HTP_PORT: port });
    assert.match(unknown.stderr, /CONFIG_INVALID: TIDEMARK_HTP_PORT is no setting/);
  });

  for (const bad of ["localhost:7070", "ftp://x", "http://u:p@x", "http://x/?a=b", "x"]) {
    test(`is not ${bad}`, async () => {
      const { code, stderr } = await runOnTerminal(["jobs", "--url", bad]);
      assert.equal(code, 2);
      assert.match(stderr, /USAGE_INVALID: --url .*: write http:\/\/host:port/);
    });
  }

  test("refuses what is not there, with its code", async () => {
    for (const words of [
      ["actor", "echo", "nobody"],
      ["actor", "other", "a"],
      ["dead-letters", "show", "echo.0.999"],
      ["watermark", "other", "2026-01-01T00:00:00Z"],
    ]) {
      const { code, stderr } = await runOnTerminal([...words, "--url", url]);
      assert.equal(code, 1);
      assert.match(stderr, /^tidemark: NOT_FOUND: There is no /, words.join(" "));
    }
  });
});

suite("an actor that is asked for behind a position", () => {
  test("shows what was folded there", async () => {
    const answer = await fetch(`${url}/v1/logs/echo/events`, {
      method: "POST",
      headers: { "content-type": "application/cloudevents+json" },
      body: JSON.stringify(cloudEvent({ id: "behind", key: "a", type: "echo.said" })),
    });
    sent++;
    const { results } = (await answer.json()) as { results: readonly [{ position: string }] };
    const [actor] = await json("actor", "echo", "a", "--after", results[0].position);
    assert.equal((actor!.state as { last: string }).last, "behind");
  });

  test("is refused a position that is none", async () => {
    const { code, stderr } = await runOnTerminal(["actor", "echo", "a", "--after", "12", "--url", url]);
    assert.equal(code, 2);
    assert.match(stderr, /--after "12": write a position/);
  });
});

suite("a watermark", () => {
  test("is said in every partition", async () => {
    const [told] = await json("watermark", "echo", "2026-01-15T13:00:00+01:00");
    assert.equal(told!.time, "2026-01-15T12:00:00.000Z");
    assert.equal((told!.positions as unknown[]).length, 2);
    const lines = await shown(["watermark", "echo", "2026-01-15T12:00:00Z"]);
    assert.deepEqual(lines, ["echo: nothing older than 2026-01-15T12:00:00.000Z comes; said at POS, POS"]);
  });

  test("that is no instant is refused", async () => {
    for (const time of ["yesterday", "2026-02-30T00:00:00Z", "2026-01-15"]) {
      assert.equal((await runOnTerminal(["watermark", "echo", time, "--url", url])).code, 2);
    }
  });
});

suite("a dead letter", () => {
  const ids = async (): Promise<string[]> => (await json("dead-letters", "list", "--job", "echo")).map(({ id }) => String(id));

  test("is shown with its event", async () => {
    const [id = ""] = await ids();
    const [letter] = await json("dead-letters", "show", id);
    assert.deepEqual([letter!.id, (letter!.event as { id: string }).id, letter!.redrives], [id, "failing", []]);
    assert.ok((await shown(["dead-letters", "show", id])).includes('  "handler": "echo.echo.failing",'));
  });

  test("is redriven by its id, with a reason; one that is none is refused and the next goes on", async () => {
    const [id = ""] = await ids();
    const { code, stdout, stderr } = await runPiped(["dead-letters", "redrive", "echo.0.999", id, "--reason", "mended", "--url", url]);
    assert.equal(code, 1);
    assert.match(stderr, /^tidemark: echo\.0\.999: NOT_FOUND: /);
    assert.equal(JSON.parse(stdout).deadLetter, id);
    const [letter] = await json("dead-letters", "show", id);
    assert.deepEqual(
      (letter!.redrives as { reason: string }[]).map(({ reason }) => reason),
      ["mended"],
    );
  });

  test("that was redriven before is refused when it is named again, and stays redriven once", async () => {
    const [id = ""] = await ids();
    const { code, stdout, stderr } = await runPiped(["dead-letters", "redrive", id, "--url", url]);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /was redriven before/);
    const [letter] = await json("dead-letters", "show", id);
    assert.equal((letter!.redrives as unknown[]).length, 1);
  });

  test("is left out of those that are open once its redrive was folded", async () => {
    const [id = ""] = await ids();
    const open = async () => (await json("dead-letters", "list", "--job", "echo", "--open")).map((letter) => letter.id);
    while ((await open()).includes(id)) await new Promise((resolve) => setTimeout(resolve, 25));
    assert.ok((await ids()).includes(id));
    assert.ok((await open()).length > 0);
  });

  test("is left out of --all when it was redriven before", async () => {
    const all = await ids();
    const redriven = await json("dead-letters", "redrive", "--all", "--job", "echo");
    assert.deepEqual(
      redriven.map(({ deadLetter }) => deadLetter).every((id) => id !== all[0]),
      true,
    );
    assert.equal(redriven.length, all.length - 1);
  });

  test("is named, or all of a job are meant: nothing between", async () => {
    for (const words of [[], ["--all"], ["--job", "echo"], ["--all", "--job", "echo", "echo.0.1"]]) {
      assert.equal((await runOnTerminal(["dead-letters", "redrive", ...words, "--url", url])).code, 2, words.join(" "));
    }
  });
});

suite("outputs that are followed", () => {
  test("begin with all there are, and go on with what comes", { timeout: 60_000 }, async (t) => {
    const before = (await json("outputs", "--type", "echo.seen")).length;
    const following = startCli(t, ["outputs", "--follow", "--type", "echo.seen", "--limit", String(before + 1), "--url", url]);
    await following.saying('"said-0"');
    await send([cloudEvent({ id: "followed", key: "a", type: "echo.said" })]);
    const { code, stdout } = await following.ended;
    const seen = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: string; data: { id: string } });
    assert.equal(code, 0);
    assert.equal(new Set(seen.map(({ id }) => id)).size, before + 1);
    assert.equal(seen.at(-1)!.data.id, "followed");
  });

  test("end with 130 at Ctrl-C", { timeout: 60_000 }, async (t) => {
    const following = startCli(t, ["outputs", "--follow", "--url", url]);
    await following.saying("said-0");
    following.child.kill("SIGINT");
    assert.equal((await following.ended).code, 130);
  });

  test("cannot begin at the end of what is not followed", async () => {
    assert.equal((await runOnTerminal(["outputs", "--from", "end", "--url", url])).code, 2);
  });
});

suite("a token", () => {
  test("is read from a file or the environment, and must be one word", async () => {
    const file = join(folder, "token");
    writeFileSync(file, "secret-token\n", { mode: 0o600 });
    assert.equal((await runOnTerminal(["jobs", "--token-file", file, "--url", url])).code, 0);
    writeFileSync(file, "two words");
    for (const [args, env] of [
      [["--token-file", file], {}],
      [["--token-file", join(folder, "none")], {}],
      [[], { TIDEMARK_TOKEN: "a\nb" }],
    ] as const) {
      const { code, stderr } = await runOnTerminal(["jobs", ...args, "--url", url], env);
      assert.equal(code, 1);
      assert.match(stderr, /CONFIG_INVALID: /);
    }
  });
});

test("a reader who has had enough ends the command quietly", { timeout: 60_000 }, async (t) => {
  const following = startCli(t, ["outputs", "--follow", "--url", url]);
  await following.saying("said-0");
  following.child.stdout.destroy();
  // As with any pipe it is the next write that finds nobody.
  await send([cloudEvent({ id: "unread", key: "a", type: "echo.said" })]);
  const { code, stderr } = await following.ended;
  assert.equal(code, 0);
  assert.match(stderr, /^tidemark: following [^\n]*\n$/);
});
