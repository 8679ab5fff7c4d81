/**
 * The package as a stranger gets it: what `npm pack` puts into it, and a project that is made, installed, compiled and run
 * from it with nothing of the repository in reach.
 */
import assert from "node:assert/strict";
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { folder, natsFolder } from "../support/clone.ts";
import { startTestNats } from "../support/nats.ts";
import { installedProject, npm, pack, ROOT, run, strangersPath, tidemark } from "../support/packed.ts";

const TIMEOUT_MS = 240_000;
/** How the quick start makes a project. The suite does the same, but for the lockfile. */
const MAKE = [
  "npm pack",
  "npx tidemark init ../my-shop --tidemark file:tidemark-0.1.0.tgz",
  "cd ../my-shop",
  "npm install",
  "npm test",
  "npm run dev",
];

const packed = await pack({ after });
const place = folder({ after });

suite("the tarball", () => {
  test("holds the compiled sources, what they read, the docs and the set-up of a server, and nothing else", (t) => {
    const files = filesOf(packed.unpacked);
    assert.deepEqual(files, expectedFiles());
    t.diagnostic(`${files.length} files, ${Math.round(statSync(packed.tarball).size / 1024)} KiB packed`);
  });

  test("names no path of the machine that built it", () => {
    const places = [ROOT, packed.builtIn, homedir()].filter((place) => place.length > 1);
    for (const file of filesOf(packed.unpacked)) {
      const text = readFileSync(join(packed.unpacked, file), "latin1");
      for (const place of places) assert.ok(!text.includes(place), `${file} names ${place}`);
    }
  });

  test("runs nothing of its own when it is installed", () => {
    const { scripts } = JSON.parse(readFileSync(join(packed.unpacked, "package.json"), "utf8")) as { scripts: Record<string, string> };
    assert.deepEqual(
      ["preinstall", "install", "postinstall", "prepare"].filter((name) => name in scripts),
      [],
    );
  });
});

suite("a project made and installed from it", { timeout: TIMEOUT_MS }, () => {
  let project: string;
  let installed: string;
  before(async () => {
    // A blank in the path: what is a URL in one place is a path in another.
    project = await installedProject(packed, join(place, "a place"));
    installed = join(project, "node_modules", "tidemark");
  });

  test("has the command, run by the Node that came with it", async () => {
    const { stdout } = await npm(project, ["exec", "--", "tidemark", "--help"]);
    assert.match(stdout, /^tidemark <command>/m);
  });

  test("compiles, and a mistake is a compile error", async () => {
    copyFileSync(join(ROOT, "test/package/wrong-app.ts"), join(project, "wrong-app.ts"));
    // Libraries are checked too: the package's own types must be whole.
    await npm(project, ["exec", "--", "tsc", "-p", ".", "--skipLibCheck", "false"]);
  });

  test("has tests that pass, on the Node that came with it", async () => {
    const { stdout } = await npm(project, ["test"]);
    assert.match(stdout, /^ℹ pass 3$/m);
    assert.match(stdout, /^ℹ fail 0$/m);
  });

  test("runs as a node in threads of compiled modules, and what is published to it comes out", async (t) => {
    copyFileSync(join(ROOT, "test/package/failing-app.ts"), join(project, "failing-app.ts"));
    writeFileSync(
      join(project, "both.ts"),
      'import orders from "./app.ts";\nimport failing from "./failing-app.ts";\nexport default [orders, failing];\n',
    );
    const nats = await startTestNats(t, { logs: ["orders"] });
    const env = { TIDEMARK_NATS_URL: nats.url, TIDEMARK_HTTP_PORT: "0", TIDEMARK_DATA_DIR: join(folder(t), "data") };
    const node = tidemark(installed, project, ["node", "both.ts"], env);
    t.after(() => node.stop());
    const [, apiUrl] = await node.said(/serves (http:\S+)/);
    const nc = await connect({ servers: nats.url });
    t.after(() => nc.close());
    for (const line of readFileSync(join(project, "orders.ndjson"), "utf8").trimEnd().split("\n")) {
      const { subject } = JSON.parse(line) as { subject: string };
      await nc.request(`orders.${subject}`, line);
    }
    type Page = { readonly items: readonly { readonly subject: string; readonly data: unknown }[] };
    const { items } = await answered<Page>(`${apiUrl}/v1/outputs?type=customer.big-spender`, (page) => page.items.length > 0);
    assert.deepEqual(
      items.map(({ subject, data }) => [subject, data]),
      [["alice", { orders: 2, total: 1050 }]],
    );
    const unmapped = await startTestNats(t);
    const elsewhere = { ...env, TIDEMARK_NATS_URL: unmapped.url, TIDEMARK_DATA_DIR: join(folder(t), "unmapped") };
    const other = tidemark(installed, project, ["node", "app.ts"], elsewhere);
    t.after(() => other.stop());
    await other.said(/no mapping for orders\.\*: .*\(node_modules\/tidemark\/docs\/nats\.md\)/);
    assert.ok(existsSync(join(project, "node_modules/tidemark/docs/nats.md")));
    const [stack] = await node.said(/planted\n(\s+at .*\n)+/);
    assert.ok(stack.includes(`at placed (`) && stack.includes("/node_modules/tidemark/dist/actors/fold/"), stack);
    assert.equal((await node.stop()).code, 0);
  });

  test("runs as its README and the quick start say: publishes in three ways, and follows a change", async (t) => {
    const quickStart = readFileSync(join(ROOT, "docs/quick-start.md"), "utf8");
    const lines = shellLines("docs/quick-start.md");
    assert.deepEqual(lines.splice(0, MAKE.length), MAKE);
    const path = strangersPath(natsFolder(t));
    const dev = tidemark(installed, project, ["dev", "app.ts"], { PATH: path, TIDEMARK_HTTP_PORT: "0" });
    t.after(() => dev.stop());
    const [, natsUrl] = await dev.said(/nats-server \S+ started on (nats:\S+)/);
    const [, port] = await dev.said(/ready on http:\S+:(\d+)/);
    const inTerminal = async (line: string) => {
      const command = line.replaceAll("localhost:7070", `localhost:${port}`).replaceAll("nats://127.0.0.1:4222", natsUrl!);
      const ran = await run("sh", ["-c", command], project, { PATH: projectsPath(project), TIDEMARK_HTTP_PORT: port! }).ended;
      assert.equal(ran.code, 0, `${command}\n${ran.stdout}${ran.stderr}`);
      return ran.stdout;
    };
    const said = [];
    for (const line of lines.splice(0, 3)) said.push(await inTerminal(line));
    for (const customer of ["alice", "carol", "dave"]) await dev.said(new RegExp(`"customer.big-spender","subject":"${customer}"`));
    // What is asked is the last commit, up to half a second behind the outputs.
    type Customer = { readonly state?: { readonly total: number } };
    await answered<Customer>(`http://localhost:${port}/v1/actors/customer/alice`, ({ state }) => state?.total === 1050);
    for (const line of lines) said.push(await inTerminal(line));
    await inTerminal("npx tidemark publish orders orders.ndjson");
    type Shards = { readonly items: readonly { readonly counts: { readonly duplicate: number } }[] };
    const duplicates = ({ items }: Shards) => items.reduce((sum, { counts }) => sum + (counts.duplicate ?? 0), 0);
    await answered<Shards>(`http://localhost:${port}/v1/shards`, (shards) => duplicates(shards) === 3);
    await inTerminal("npm run order nats://127.0.0.1:4222 alice 10 2026-03-02T10:00:00Z");
    await answered<Customer>(`http://localhost:${port}/v1/actors/customer/alice`, ({ state }) => state?.total === 10);
    const [, , stored, outputs, alice, quarantined, late, shards, aliceOverHttp] = said;
    assert.match(stored!, /"stream":"orders-\d"/);
    assert.equal(outputs!.trimEnd().split("\n").length, 3);
    assert.deepEqual((JSON.parse(alice!) as { state: unknown }).state, { orders: 2, total: 1050 });
    assert.deepEqual((JSON.parse(aliceOverHttp!) as { state: unknown }).state, { orders: 2, total: 1050 });
    assert.deepEqual([quarantined, late], ["", ""]);
    assert.match(shards!, /"status":"running"/);

    const actorFile = join(project, "actors/customer.ts");
    writeFileSync(actorFile, readFileSync(actorFile, "utf8").replace("LIMIT = 1000", "LIMIT = 10"));
    await dev.said(/ready on[\s\S]*ready on/);
    // The default time is late for everybody in alice's partition; the one that the page gives is not, whoever the customer.
    assert.match(quickStart, /erin 20 2026-03-02T11:00:00Z/);
    const beside = ["frank", "grace", "heidi", "ivan", "judy", "mallory"].find(
      (customer) => partitionOf(customer) === partitionOf("alice"),
    );
    for (const customer of ["erin", beside]) {
      await inTerminal(`npm run order nats://127.0.0.1:4222 ${customer} 20 2026-03-02T11:00:00Z`);
      await dev.said(new RegExp(`"customer.big-spender","subject":"${customer}"`));
    }
    await inTerminal(`npm run order nats://127.0.0.1:4222 ${beside}`);
    await dev.said(new RegExp(`"tidemark.late","subject":"${beside}"`));
    await npm(project, ["test"]);
    assert.equal((await dev.stop()).code, 0);
    assert.ok(existsSync(join(project, "node_modules/.cache/tidemark/setup.json")), "remembers the server that it found");
  });

  test("says what to do when nobody takes an order", async (t) => {
    const { url } = await startTestNats(t);
    const { code, stdout, stderr } = await run("npm", ["run", "order", url], project, { PATH: projectsPath(project) }).ended;
    assert.equal(code, 1, stdout);
    assert.match(stderr, /no responders.*\. No log takes orders\.dave there\. Start the job, with npm run dev; .* README\.md/);
    assert.doesNotMatch(stderr, /^\s+at /m);
  });

  test("has a README whose commands are those of the quick start", () => {
    const known = new Set([...shellLines("docs/quick-start.md"), "npm run check"]);
    for (const line of shellLines("template/README.md")) assert.ok(known.has(line), line);
  });

  test("runs the jobs that ship with their samples, and the models that lie beside them", async (t) => {
    const env = { PATH: strangersPath(natsFolder(t)), TIDEMARK_HTTP_PORT: "0", TIDEMARK_DATA_DIR: join(folder(t), "data") };
    const { code, stdout, stderr } = await tidemark(installed, project, ["start", "--exit"], env).ended;
    assert.equal(code, 0, stderr);
    const summary = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as {
      published: number;
      deadLetters: number;
      outputs: Readonly<Record<string, number>>;
    };
    assert.ok(summary.published > 1000 && summary.deadLetters === 0, JSON.stringify(summary));
    const { "transaction.enriched": applied, "transaction.scored": scored } = summary.outputs;
    assert.ok(applied! > 1000 && scored === applied, JSON.stringify(summary));
    assert.match(stdout, /"type":"transaction\.scored".*"ai_model":"fraud","ai_model_version":1,/);
  });
});

/** Of the log orders, by the partitions that a log has by default. */
function partitionOf(customer: string): number {
  return slotOf(writeKey(customer)!) % 4;
}

/** The lines of the shell blocks of a page. */
function shellLines(page: string): string[] {
  const blocks = [...readFileSync(join(ROOT, page), "utf8").matchAll(/^```sh\n([\s\S]*?)^```/gm)];
  return blocks.flatMap(([, block]) => block!.trimEnd().split("\n"));
}

/** As npm puts it together for a script: the project's own programs first, Node 24 among them. */
function projectsPath(project: string): string {
  return strangersPath(join(project, "node_modules/.bin"));
}

/** Asks until the answer is as it should be; the suite's timeout is the bound. */
async function answered<T>(url: string, expected: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = (await (await fetch(url)).json()) as T;
    if (expected(answer)) return answer;
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
}

function filesOf(place: string): string[] {
  return readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(place.length + 1))
    .sort();
}

/** From the repository: each source compiled, each asset beside it, and the rest by name. */
function expectedFiles(): string[] {
  const sources = ["actors", "runtime", "inference", "api"].filter((layer) => existsSync(join(ROOT, layer)));
  const compiled = [...sources.flatMap((layer) => filesOf(join(ROOT, layer)).map((path) => `${layer}/${path}`)), "index.ts"].flatMap(
    (path) => {
      if (/\.(md|d\.ts)$/.test(path)) return [];
      if (!path.endsWith(".ts")) return [`dist/${path}`];
      return [`dist/${path.replace(/\.ts$/, ".js")}`, `dist/${path.replace(/\.ts$/, ".d.ts")}`];
    },
  );
  const whole = ["docs", "template"].flatMap((name) => filesOf(join(ROOT, name)).map((path) => `${name}/${path}`));
  const setup = ["command-line", "distribution", "lock", "nats-server", "nats-server-only", "record", "report", "tidemark"];
  const named = ["CHANGELOG.md", "LICENSE", "README.md", "package.json", ...setup.map((name) => `setup/${name}.mjs`)];
  return [...compiled, ...whole, ...named].sort();
}
