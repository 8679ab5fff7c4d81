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
import { folder, natsFolder } from "../support/clone.ts";
import { startTestNats } from "../support/nats.ts";
import { installedProject, npm, pack, ROOT, strangersPath, tidemark } from "../support/packed.ts";

const TIMEOUT_MS = 240_000;
const EXPECTED_OUTPUT = { type: "customer.big-spender", subject: "alice", data: { orders: 2, total: 1050 } };

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
    const node = tidemark(installed, project, ["node", "both.ts"], { TIDEMARK_NATS_URL: nats.url, TIDEMARK_HTTP_PORT: "0" });
    t.after(() => node.kill("SIGKILL"));
    const [, apiUrl] = await node.said(/serves (http:\S+)/);
    const nc = await connect({ servers: nats.url });
    t.after(() => nc.close());
    for (const line of readFileSync(join(project, "orders.ndjson"), "utf8").trimEnd().split("\n")) {
      const { subject } = JSON.parse(line) as { subject: string };
      await nc.request(`orders.${subject}`, line);
    }
    assert.deepEqual(await firstOutput(`${apiUrl}/v1/outputs?type=${EXPECTED_OUTPUT.type}`), EXPECTED_OUTPUT);
    const [stack] = await node.said(/planted\n(\s+at .*\n)+/);
    assert.ok(stack.includes(`at placed (`) && stack.includes("/node_modules/tidemark/dist/actors/fold/"), stack);
    node.kill("SIGTERM");
    assert.equal((await node.ended).code, 0);
  });

  test("starts a server of its own from PATH, and the jobs that ship with their samples", async (t) => {
    const env = { PATH: strangersPath(natsFolder(t)), TIDEMARK_HTTP_PORT: "0", TIDEMARK_DATA_DIR: join(folder(t), "data") };
    const { code, stdout, stderr } = await tidemark(installed, project, ["start", "--exit"], env).ended;
    assert.equal(code, 0, stderr);
    const summary = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as { published: number; deadLetters: number };
    assert.ok(summary.published > 1000 && summary.deadLetters === 0, JSON.stringify(summary));
    assert.ok(existsSync(join(project, "node_modules/.cache/tidemark/setup.json")), "remembers the server that it found");
  });
});

async function firstOutput(url: string): Promise<typeof EXPECTED_OUTPUT> {
  for (;;) {
    const answer = await fetch(url);
    const { items } = (await answer.json()) as { items: (typeof EXPECTED_OUTPUT)[] };
    if (items[0] !== undefined) {
      const [{ type, subject, data }] = items as [typeof EXPECTED_OUTPUT];
      return { type, subject, data };
    }
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
