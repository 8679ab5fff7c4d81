/** The architecture, checked: the rules over every source of the repository, and each rule over samples that break it. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as rules from "./support/architecture.ts";
import { parseSources, type Source } from "./support/syntax.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FOLDERS = ["actors", "api", "bench", "deploy", "inference", "runtime", "setup", "template", "test"];

const RULES = {
  "imports go down only": rules.importsGoDownOnly,
  "actors are pure": rules.actorsArePure,
  "files are short": rules.filesAreShort,
  "functions are short": rules.functionsAreShort,
  "nothing is left to do": rules.nothingIsLeftToDo,
  "there are no enums": rules.noEnums,
  "there is no any": rules.noAny,
  "names are kebab-case": rules.namesAreKebabCase,
  "there are no barrels": rules.noBarrels,
};

suite("the sources", () => {
  const sources = parseSources(readSources());

  test("are found in every folder that exists", () => {
    for (const folder of ["actors", "runtime", "setup", "test"]) {
      assert.ok(
        sources.some(({ path }) => path.startsWith(`${folder}/`)),
        folder,
      );
    }
  });

  for (const [name, rule] of Object.entries(RULES)) {
    test(name, () => {
      const violations = sources.flatMap(rule).map(({ path, line, what }) => `${path}:${line} ${what}`);
      assert.deepEqual(violations, []);
    });
  }
});

const long = (lines: number) => Array.from({ length: lines }, (_, i) => `  f(${i});`).join("\n");

/** Per rule: sources that break it once, and ones that look like it and do not. */
const SAMPLES: Record<keyof typeof RULES, { bad: Record<string, string[]>; good: Record<string, string[]> }> = {
  "imports go down only": {
    bad: {
      "actors/model/a.ts": [
        'import { x } from "../../runtime/errors.ts";',
        'import type { X } from "../../runtime/errors.ts";',
        'import fs from "node:fs";',
        'import fs from "fs";',
        'import "lmdb";',
        'export { x } from "../../api/server.ts";',
        'const x = await import("node:crypto");',
        'type X = import("node:net").Socket;',
      ],
      "inference/tiers.ts": ['import { x } from "../runtime/errors.ts";', 'import { x } from "lmdb";'],
      "runtime/node/a.ts": ['import { x } from "../../api/server.ts";', 'import { x } from "../../test/support/nats.ts";'],
      "api/server.ts": [
        'import { open } from "lmdb";',
        'import { x } from "../runtime/store/lmdb.ts";',
        'import { x } from "../runtime/shard/host.ts";',
      ],
      "setup/a.mjs": ['import { x } from "../runtime/errors.ts";', 'import fastify from "fastify";'],
      "stray.ts": [""],
      "template/app.ts": ['import { job } from "../actors/model/job.ts";', 'import { Type } from "typebox";'],
      "index.ts": ['export { x } from "./runtime/app.ts";', 'export * from "node:fs";'],
    },
    good: {
      "actors/model/a.ts": ['import { x } from "./b.ts"; import { Type } from "typebox"; import { y } from "typebox/value";'],
      "runtime/node/a.ts": [
        'import { x } from "../../actors/model/key.ts"; import { connect } from "@nats-io/transport-node"; import fs from "node:fs";',
      ],
      "api/server.ts": ['import { x } from "../runtime/node/a.ts";\n// The shape.\nimport type { X } from "../runtime/shard/report.ts";'],
      "setup/a.mjs": ['import { x } from "./b.mjs"; import fs from "node:fs";'],
      "template/test/a.ts": ['import { a } from "../actors/a.ts"; import { job } from "tidemark"; import { test } from "node:test";'],
      "index.ts": ['export { x } from "./actors/model/a.ts";\nexport { Type } from "typebox";'],
    },
  },
  "actors are pure": {
    bad: {
      "actors/model/a.ts": [
        "const t = Date.now();",
        "const t = globalThis.Date.now();",
        "const now = Date.now;",
        "const t = new Date();",
        "const t = new Date;",
        "const t = Date();",
        "const t = Math.random();",
        "const t = performance.now();",
        "setTimeout(f, 1);",
        "globalThis.setTimeout(f, 1);",
        "const e = process.env;",
        'const b = Buffer.from("a");',
      ],
      "actors/fold/a.ts": ["export async function f() { await g(); }"],
    },
    good: {
      "actors/model/a.ts": [
        'const t = new Date(5).toISOString(); const d = Date.UTC(2020, 1); // Date.now()\nconst s = "Math.random()"; const m = Math.max(1, 2);',
        "interface Timer { process: string } const x = { setTimeout: 1 }; f(x.setTimeout, timer.process);",
      ],
      "runtime/a.ts": ["const t = Date.now();"],
    },
  },
  "files are short": { bad: { "actors/a.ts": [`${"//\n".repeat(401)}`] }, good: { "actors/a.ts": ["//\n".repeat(400)] } },
  "functions are short": {
    bad: {
      "actors/a.ts": [
        `export function g() {\n${long(69)}\n}`,
        `const g = () => {\n${long(69)}\n};`,
        `class A { g() {\n${long(69)}\n} }`,
        `const o = { g() {\n${long(69)}\n} };`,
      ],
      "test/a.contract.ts": [`export function contract() {\n  const g = () => {\n${long(69)}\n  };\n}`],
    },
    good: {
      "test/a.contract.ts": [`export function contract() {\n${long(80)}\n}`],
      "actors/a.ts": [`/** One. */\n\nexport function g() {\n${long(68)}\n}`, `suite("s", () => {\n${long(80)}\n});`],
    },
  },
  "nothing is left to do": {
    bad: { "actors/a.ts": [`// ${"TO"}DO: more`, `const s = "${"FIX"}ME";`] },
    good: { "actors/a.ts": ["const todo = 1;"] },
  },
  "there are no enums": { bad: { "actors/a.ts": ["enum E { A }"] }, good: { "actors/a.ts": ['const s = "enum E { A }";'] } },
  "there is no any": {
    bad: { "actors/a.ts": ["let x: any;", "const x = y as any;", "type X = Array<any>;"] },
    good: { "actors/a.ts": ["// any\nconst any = 1; let x: unknown;"] },
  },
  "names are kebab-case": {
    bad: { "actors/myFile.ts": [""], "actors/My-file.ts": [""], "actors/my_file.ts": [""], "actors/myModel/a.ts": [""] },
    good: { "actors/my-file.ts": [""], "test/my-log.contract.ts": [""], "test/my-file.test.ts": [""], "setup/a.mjs": [""] },
  },
  "there are no barrels": {
    bad: { "actors/a.ts": ['export * from "./b.ts";', 'export {} from "./b.ts";', 'import { b } from "./b.ts";\nexport { b as c };'] },
    good: { "index.ts": ['export { b } from "./actors/b.ts";'], "actors/a.ts": ["export { b }; export const c = 1;"] },
  },
};

const samples = parseSources(
  Object.entries(SAMPLES).flatMap(([rule, kinds]) =>
    Object.entries(kinds).flatMap(([kind, texts]) =>
      Object.entries(texts).flatMap(([path, each]) => each.map((text) => ({ rule, kind, path, text }))),
    ),
  ),
);

for (const [name, rule] of Object.entries(RULES)) {
  suite(`the rule "${name}"`, () => {
    const own = samples.filter((sample) => sample.rule === name);
    for (const source of own.filter(({ kind }) => kind === "bad")) {
      test(`sees the violation planted in ${source.path}: ${titleOf(source)}`, () => {
        const violations = rule(source);
        assert.equal(violations.length, 1, JSON.stringify(violations));
        assert.equal(violations[0]!.path, source.path);
      });
    }
    for (const source of own.filter(({ kind }) => kind === "good")) {
      test(`leaves ${source.path} alone: ${titleOf(source)}`, () => assert.deepEqual(rule(source), []));
    }
  });
}

function titleOf({ text }: Source): string {
  return text.replace(/\s+/g, " ").trim().slice(0, 50);
}

function readSources(): Source[] {
  const isSource = (name: string) => /\.(?:ts|mjs)$/.test(name);
  const paths = FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter(isSource)
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`),
  );
  return [...readdirSync(ROOT).filter(isSource), ...paths].map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}
