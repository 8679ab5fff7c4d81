/** `tidemark migrate --dry-run` over the state of a real node: while that runs and takes events, and when it has stopped. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { startCli } from "../support/cli-run.ts";
import { cloudEvent } from "../support/entries.ts";
import { startTestNats } from "../support/nats.ts";
import { getJson, NodeProcess, shardsOf } from "../support/node-process.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "tidemark-migrate-"));
const dataDir = join(folder, "data");
after(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, "package.json"), '{ "type": "module" }');

/** `account`: the options of the actor behind its name. */
function appOf(name: string, account: string, more = ""): string {
  const file = join(folder, name);
  const door = JSON.stringify(join(ROOT, "index.ts"));
  writeFileSync(
    file,
    `import { actor, counter, job, map, set, stream, timer, Type, value } from ${door};
const paid = stream("paid", { schema: Type.Object({ euros: Type.Number() }) });
const account = actor("account", { in: { paid }, ${account} });
${more}
export default job("accounts", { log: "accounts", actors: [account${more === "" ? "" : ", audit"}] });
`,
  );
  return file;
}

const v1 = appOf(
  "v1.ts",
  `state: { euros: value(Type.Number(), 0), tags: set(Type.String()), notes: counter() }, timers: { wake: timer("event"), late: timer("event") },
  on: { paid({ key, now, state, timers }, { euros }) { state.euros.update((sum) => sum + euros); state.tags.add(key); state.notes.add(); timers.wake.at(now + 1e9); timers.late.at(now + 1e9); }, wake() {}, late() {} }`,
  'const audit = actor("audit", { in: { paid }, state: { seen: counter() }, on: { paid: ({ state }) => void state.seen.add() } });',
);
const v2 = appOf(
  "v2.ts",
  `version: 2, state: { cents: map(Type.Integer()), tags: set(Type.String()) }, timers: { wake: timer("event") }, on: { paid() {}, wake() {} },
  migrate: { 2: (old) => { if (old.euros < 0) throw new Error("an account of " + old.euros); return { tags: old.tags, cents: { EUR: Math.round(old.euros * 100) } }; } }`,
);
const KEYS = 600;

const nats = await startTestNats({ after }, { logs: ["accounts"] });
const node = new NodeProcess({ app: v1, natsUrl: nats.url, dataDir });
after(() => node.kill());
const url = await node.ready;
let sent = 0;
let positions: readonly { readonly position: string; readonly key: string }[] = [];

/** An event of each key; those of every hundredth owe something. */
async function payAll(): Promise<void> {
  const round = ++sent;
  const events = Array.from({ length: KEYS }, (_, i) =>
    cloudEvent({ id: `${round}-${i}`, key: `k${i}`, type: "paid", data: { euros: i % 100 === 0 ? -1 : 1.5 } }),
  );
  const answer = await fetch(`${url}/v1/logs/accounts/events`, {
    method: "POST",
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify(events),
  });
  const { results } = (await answer.json()) as { readonly results: readonly { readonly position: string; readonly id: string }[] };
  assert.equal(answer.status, 200);
  positions = results.map(({ position, id }) => ({ position, key: `k${id.split("-")[1]}` }));
}

/** Resolves when the node has committed what the last round sent. */
async function committed(): Promise<void> {
  const lastOfEach = new Map(positions.map((place) => [place.position.split(":")[0], place]));
  for (const { position, key } of lastOfEach.values()) await getJson(`${url}/v1/actors/account/${key}?after=${position}&wait=30`);
}

async function dryRun(app: string, ...options: readonly string[]) {
  const { ended } = startCli({ after }, ["migrate", "--dry-run", app, ...options], { TIDEMARK_DATA_DIR: dataDir });
  const { code, stdout, stderr } = await ended;
  return {
    code,
    stderr,
    found: stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

const expected = {
  job: "accounts",
  actor: "account",
  version: 2,
  from: [1],
  actors: KEYS,
  migrate: KEYS - 6,
  fail: 6,
  cells: [
    { cell: "euros", actors: KEYS - 6 },
    { cell: "notes", actors: KEYS - 6 },
  ],
  timers: [{ timer: "late", count: KEYS - 6 }],
};

suite("a dry run of migrations", { timeout: 120_000 }, () => {
  test("tells of a node that runs and takes events what would change, fail and go, and the node goes on", async () => {
    await payAll();
    await committed();
    let done = false;
    const publishing = (async () => {
      while (!done) await payAll();
    })();
    const { code, found, stderr } = await dryRun(v2);
    done = true;
    await publishing;
    assert.equal(code, 1, stderr);
    const [account, audit] = found;
    const { errors, ...rest } = account as { errors: { code: string; message: string; actors: number; keys: string[] }[] };
    assert.deepEqual(rest, expected);
    assert.equal(
      errors.reduce((sum, { actors }) => sum + actors, 0),
      6,
    );
    for (const { code, message, keys } of errors) {
      assert.equal(code, "HANDLER_FAILED");
      assert.match(message, /^an account of -\d+$/);
      for (const key of keys) assert.match(key, /^k\d00$|^k0$/);
    }
    assert.deepEqual(audit, {
      job: "accounts",
      actor: "audit",
      version: null,
      from: [1],
      actors: KEYS,
      migrate: 0,
      fail: 0,
      errors: [],
      cells: [],
      timers: [],
    });
    await committed();
    assert.deepEqual(new Set((await shardsOf(url)).map(({ status }) => status)), new Set(["running"]));
  });

  test("finds nothing to do for the build that wrote the state", async () => {
    const { code, found } = await dryRun(v1);
    assert.equal(code, 0);
    assert.deepEqual(
      found.map(({ actor, actors, migrate, fail }) => [actor, actors, migrate, fail]),
      [
        ["account", KEYS, 0, 0],
        ["audit", KEYS, 0, 0],
      ],
    );
  });

  test("of a node that has stopped leaves every byte of its state as it was", async () => {
    assert.equal(await node.stop(), 0);
    const bytes = () =>
      readdirSync(join(dataDir, "shards")).map((shard) => readFileSync(join(dataDir, "shards", shard, "data.mdb")).toString("base64"));
    const before = bytes();
    const { found } = await dryRun(v2);
    assert.deepEqual([found[0]?.actors, found[0]?.fail], [KEYS, 6]);
    assert.ok(before.length === 2 && bytes().every((shard, i) => shard === before[i]));
  });

  test("catches a migration that asks the clock, as a handler is caught", async () => {
    const clocked = appOf(
      "clocked.ts",
      "version: 2, state: { at: value(Type.Integer()) }, on: { paid() {} }, migrate: { 2: () => ({ at: Date.now() }) }",
    );
    const [found] = (await dryRun(clocked)).found;
    const [error] = found!.errors as { code: string; actors: number; keys: string[] }[];
    assert.deepEqual([error?.code, error?.actors, error?.keys.length], ["NONDETERMINISTIC", KEYS, 5]);
  });

  test("says what it needs: the flag, an app, and state of its jobs", async () => {
    const run = async (args: readonly string[], data = dataDir) => {
      const { code, stderr } = await startCli({ after }, ["migrate", ...args], { TIDEMARK_DATA_DIR: data }).ended;
      return `${code} ${stderr}`;
    };
    assert.match(await run([v2]), /^2 .*Write --dry-run/);
    assert.match(await run(["--dry-run", join(folder, "none.ts")]), /^2 .*no app file/);
    assert.match(await run(["--dry-run", v2], join(folder, "elsewhere")), /^1 .*STATE_MISSING.*holds no state of accounts/);
    writeFileSync(join(folder, "bad.ts"), "export default 1;");
    assert.match(await run(["--dry-run", join(folder, "bad.ts")]), /^1 .*APP_INVALID/);
  });
});
