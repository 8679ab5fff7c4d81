/** The code blocks of docs/testing.md, as files of a stranger's project: they compile, and their tests pass. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "tidemark-docs-"));
after(() => rmSync(folder, { recursive: true }));

/** What the package's doors give, without the package. */
const MODEL = ["actor", "effect", "job", "reference", "stream", "cells/counter", "cells/value"];
const door = `${MODEL.map((name) => `export * from ${JSON.stringify(join(ROOT, `actors/model/${name}.ts`))};`).join("\n")}\nexport { Type } from "typebox";\n`;
const hooks = `
  import { registerHooks } from "node:module";
  const doors = { tidemark: ${JSON.stringify(pathToFileURL(join(folder, "tidemark.ts")).href)}, "tidemark/testing": ${JSON.stringify(new URL("../../runtime/testing/testing.ts", import.meta.url).href)} };
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier in doors) return next(doors[specifier], context);
      return next(specifier, specifier.startsWith(".") ? context : { ...context, parentURL: ${JSON.stringify(import.meta.url)} });
    },
  });
`;
const tsconfig = {
  extends: join(ROOT, "tsconfig.json"),
  compilerOptions: {
    typeRoots: [join(ROOT, "node_modules/@types")],
    paths: {
      tidemark: [join(folder, "tidemark.ts")],
      "tidemark/testing": [join(ROOT, "runtime/testing/testing.ts")],
      typebox: [join(ROOT, "node_modules/typebox")],
    },
  },
  include: ["*.ts", join(ROOT, "runtime/threads/comlink-node.d.ts")],
};

const page = readFileSync(join(ROOT, "docs/testing.md"), "utf8");
const blocks = [...page.matchAll(/^```(\w+)\n(?:\/\/ (\S+)\n)?(.*?)^```$/gms)].map(([, language, name, text]) => ({
  language,
  name,
  text: text!,
}));
const files = blocks.flatMap(({ name, text }) => (name === undefined ? [] : [{ name, text }]));
for (const { name, text } of files) writeFileSync(join(folder, name), text);
writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
writeFileSync(join(folder, "tidemark.ts"), door);
writeFileSync(join(folder, "hooks.mjs"), hooks);
writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(tsconfig));

test("every block names its file, each once", () => {
  assert.equal(files.length, blocks.length);
  assert.equal(new Set(files.map(({ name }) => name)).size, files.length);
  assert.ok(blocks.every(({ language }) => language === "ts"));
});

test("the blocks compile", async () => {
  await run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", folder]).catch(({ stdout }) => assert.fail(stdout));
});

test("their tests pass", async () => {
  const tests = files.filter(({ name }) => name.endsWith(".test.ts")).map(({ name }) => join(folder, name));
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const hooksUrl = pathToFileURL(join(folder, "hooks.mjs")).href;
  const { stdout } = await run(
    process.execPath,
    ["--import", hooksUrl, "--test", "--test-isolation=none", "--test-reporter=tap", ...tests],
    { env },
  ).catch(({ stdout }) => assert.fail(stdout));
  assert.match(stdout, /^# pass [1-9]\d*$/m);
  assert.match(stdout, /^# fail 0$/m);
});
