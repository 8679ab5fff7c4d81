/** Every code block of the pages is run by a test, or says why not. TypeScript compiles against the package's doors, loads, and passes its own tests. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { blocksOf, placeOf, ROOT } from "../support/doc-page.ts";
import { writeDocProject } from "../support/doc-project.ts";

const run = promisify(execFile);
/** What a test runs or compares, and what a page only shows. */
const RUN = ["ts", "js", "sh", "json"];
const SHOWN = ["", "mermaid", "yaml"];

const { folder, blocks, files } = writeDocProject({ after });

test("a block is of a known language, or says why it is not run", (t) => {
  const unknown = blocks.filter(({ language, notRun }) => notRun === undefined && ![...RUN, ...SHOWN].includes(language));
  assert.deepEqual(unknown.map(placeOf), []);
  for (const language of [...new Set(blocks.map((block) => block.language))].sort()) {
    const of = blocks.filter((block) => block.language === language);
    const marked = of.filter(({ notRun }) => notRun !== undefined).length;
    const ran = RUN.includes(language) ? of.length - marked : 0;
    t.diagnostic(`${language || "plain text"}: ${of.length} blocks, ${ran} run, ${marked} marked as not run`);
  }
});

test("a marker counts for the block right below it, or for all down to the end", () => {
  const page = "<!-- not run: one -->\n```sh\na\n```\n```sh\nb\n```\n<!-- not run from here: all -->\ntext\n```x\nc\n```\n";
  assert.deepEqual(
    blocksOf("page.md", page).map(({ notRun }) => notRun),
    ["one", undefined, "all"],
  );
  assert.throws(() => blocksOf("page.md", "```sh\na\n"), /page\.md:1: the block is not closed/);
});

test("the TypeScript compiles", async () => {
  await run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", folder]).catch(({ stdout }) => assert.fail(stdout));
});

test("the TypeScript loads, and the tests in it pass", async () => {
  const modules = files.filter(({ path }) => path.endsWith(".ts")).map(({ path }) => path);
  assert.ok(modules.length >= 10, modules.join());
  const tests = modules.filter((path) => path.endsWith(".test.ts"));
  const imports = modules
    .filter((path) => !tests.includes(path))
    .map((path) => `await import(${JSON.stringify(pathToFileURL(path).href)});`);
  await run(process.execPath, ["--input-type=module", "-e", imports.join("\n")]).catch(({ stderr }) => assert.fail(stderr));
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const { stdout } = await run(process.execPath, ["--test", "--test-isolation=none", "--test-reporter=tap", ...tests], { env }).catch(
    ({ stdout }) => assert.fail(stdout),
  );
  assert.match(stdout, /^# pass [1-9]\d*$/m);
  assert.match(stdout, /^# fail 0$/m);
});
