/** The hash of an app's code: what changes it, and what must not, for every thread of a node has to find the same one. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { pathToFileURL } from "node:url";
import { folder } from "../support/clone.ts";

const APP_MODULE = new URL("../../runtime/app.ts", import.meta.url).href;
const MODEL = new URL("../../actors/model/", import.meta.url).href;

suite("the hash of an app's code", () => {
  test("is the same where a package of the app was loaded before", (t) => {
    const app = newApp(t);
    assert.equal(hashOf(app, ["one"]), hashOf(app));
    assert.equal(hashOf(app, ["two"]), hashOf(app));
  });

  test("is the same in another place", (t) => {
    const app = newApp(t);
    const before = hashOf(app);
    const place = join(folder(t), "elsewhere");
    cpSync(app, place, { recursive: true });
    assert.equal(hashOf(place), before);
  });

  test("changes with the version of a package that the app imports, and of one that this depends on", (t) => {
    const app = newApp(t);
    const before = hashOf(app);
    addPackage(app, "two", "2.0.1", {});
    const inner = hashOf(app);
    addPackage(app, "one", "1.0.1", { two: "*" });
    assert.equal(new Set([before, inner, hashOf(app)]).size, 3);
  });

  test("changes with a module of the app, and not with a package that nothing imports", (t) => {
    const app = newApp(t);
    const before = hashOf(app);
    addPackage(app, "three", "3.0.0", {});
    assert.equal(hashOf(app), before);
    writeFileSync(join(app, "limit.ts"), "export const LIMIT: number = 2;\n");
    assert.notEqual(hashOf(app), before);
  });

  test("is found where a package depends on one that is not installed, as an optional one, and on itself in a circle", (t) => {
    const app = newApp(t);
    addPackage(app, "two", "2.0.0", { one: "*", absent: "*" });
    assert.match(hashOf(app), /^[0-9a-f]{64}$/);
  });
});

/** An app that imports the package `one`, which depends on `two`. */
function newApp(t: TestContext): string {
  const place = folder(t);
  writeFileSync(join(place, "package.json"), '{ "type": "module" }');
  writeFileSync(join(place, "limit.ts"), "export const LIMIT: number = 1;\n");
  writeFileSync(
    join(place, "app.ts"),
    `import { one } from "one";
import { actor } from "${MODEL}actor.ts";
import { job } from "${MODEL}job.ts";
import { LIMIT } from "./limit.ts";
export default job(one, { log: "log", outOfOrderness: LIMIT, actors: [actor("a", { in: {}, on: {} })] });
`,
  );
  addPackage(place, "one", "1.0.0", { two: "*" });
  addPackage(place, "two", "2.0.0", {});
  return place;
}

function addPackage(app: string, name: string, version: string, dependencies: Record<string, string>): void {
  const place = join(app, "node_modules", name);
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "package.json"), JSON.stringify({ name, version, type: "module", exports: "./index.js", dependencies }));
  const inner = Object.keys(dependencies).includes("two") ? 'import "two";\n' : "";
  writeFileSync(join(place, "index.js"), `${inner}export const ${name} = "${name}";\n`);
}

/** In a process of its own: a module is loaded once. */
function hashOf(app: string, loadedBefore: readonly string[] = []): string {
  const before = loadedBefore.map((name) => `await import(${JSON.stringify(pathToFileURL(join(app, "node_modules", name, "index.js")))});`);
  const script = `${before.join("\n")}
    const { loadApp } = await import("${APP_MODULE}");
    console.log((await loadApp(${JSON.stringify(join(app, "app.ts"))})).codeHash);`;
  return execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }).trim();
}
