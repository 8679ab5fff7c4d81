/** Builds beside the snapshots: what is loaded of one has exactly its code hash, or is refused with what is missing. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { hashOfApp, keepApp, loadKept } from "../support/app-loading.ts";
import { folder } from "../support/clone.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TIMEOUT = { timeout: 120_000 };

const write = (file: string, text: string): string => {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
};

/** An app of three modules, one of them above its root, that imports a package, which depends on another, and Tidemark as a package. */
function project(t: TestContext): { readonly at: string; readonly app: string; readonly place: string; readonly dataDir: string } {
  const at = folder(t);
  const pack = (name: string, version: string, rest: object, code: string): void => {
    write(join(at, "node_modules", name, "package.json"), JSON.stringify({ name, version, type: "module", main: "index.js", ...rest }));
    write(join(at, "node_modules", name, "index.js"), code);
  };
  pack("outer", "1.2.3", { dependencies: { inner: "*" } }, 'export { name } from "inner";');
  pack("inner", "4.5.6", {}, 'export const name = "inner";');
  // As npm lays out what another package needs in another version.
  symlinkSync(ROOT, join(at, "node_modules", "tidemark"), "junction");
  write(join(at, "shared/limit.ts"), "export const LIMIT: number = 1;\n");
  write(
    join(at, "apps/one/package.json"),
    '{ "type": "module", "imports": { "#type": "./parts/type.ts" }, "scripts": { "secret": "no" } }',
  );
  write(join(at, "apps/one/parts/type.ts"), 'export const TYPE: string = "it";\n');
  const app = write(
    join(at, "apps/one/app.ts"),
    `import { name } from "outer";
import { TYPE } from "#type";
import { LIMIT } from "../../shared/limit.ts";
import { actor, job, stream, Type } from ${JSON.stringify(join(ROOT, "index.ts"))};
const counted = actor(name, { version: LIMIT, in: { it: stream(TYPE, { schema: Type.Unknown() }) }, on: { it() {} } });
export default job("counted", { log: "counted", actors: [counted] });
`,
  );
  return { at, app, place: join(at, "place"), dataDir: join(folder(t), "data") };
}

/** Every file below a folder, without links. */
function filesOf(at: string): string[] {
  return readdirSync(at, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
  );
}

suite("a build that is kept", () => {
  test("is loaded again in another place, when its own files are gone, with the same code hash", TIMEOUT, async (t) => {
    const { at, app, place, dataDir } = project(t);
    const codeHash = await keepApp(place, app);
    assert.equal(await hashOfApp(place, app), codeHash);
    // What runs now is another app of the same project.
    const now = write(join(at, "apps/two/app.ts"), "export default 1;");
    rmSync(join(at, "apps/one"), { recursive: true });
    rmSync(join(at, "shared"), { recursive: true });
    const kept = await loadKept(place, codeHash, dataDir, now);
    assert.deepEqual([kept.codeHash, kept.jobs, kept.detail], [codeHash, ["counted 1"], undefined]);
    assert(kept.path!.startsWith(dataDir));
    // Asked again it is the same; and what was changed there is put right.
    writeFileSync(kept.path!, "export default 2;");
    assert.deepEqual(await loadKept(place, codeHash, dataDir, now), kept);
    assert.deepEqual(readdirSync(join(dataDir, "builds")), [codeHash]);
  });

  test("is written once, and holds nothing of the machine and nothing that the code hash does not need", TIMEOUT, async (t) => {
    const { at, app, place } = project(t);
    const codeHash = await keepApp(place, app);
    const written = filesOf(join(place, "builds"));
    assert.equal(written.length, 4);
    const all = written.map((file) => readFileSync(file, "latin1")).join("");
    assert(!all.includes(at.slice(1)) && !all.includes("secret"));
    const before = written.map((file) => statSync(file).mtimeMs);
    assert.equal(await keepApp(place, app), codeHash);
    assert.deepEqual(
      written.map((file) => statSync(file).mtimeMs),
      before,
    );
  });

  test("is refused where a package has another version or is gone, and names it", TIMEOUT, async (t) => {
    const { at, app, place, dataDir } = project(t);
    const codeHash = await keepApp(place, app);
    write(join(at, "node_modules/inner/package.json"), '{ "name": "inner", "version": "5.0.0", "type": "module", "main": "index.js" }');
    assert.deepEqual(await loadKept(place, codeHash, dataDir, app), {
      code: "CODE_UNAVAILABLE",
      detail: `The build ${codeHash.slice(0, 12)} needs inner 4.5.6; installed is 5.0.0.`,
    });
    rmSync(join(at, "node_modules/outer"), { recursive: true });
    assert.match((await loadKept(place, codeHash, dataDir, app)).detail!, /needs outer 1\.2\.3, which is not installed/);
  });

  test("is refused when it is not kept, when a file of it is gone, and when a byte of it has changed", TIMEOUT, async (t) => {
    const { app, place, dataDir } = project(t);
    const codeHash = await keepApp(place, app);
    const none = await loadKept(place, "0".repeat(64), dataDir, app);
    assert.deepEqual([none.code, none.detail], ["CODE_UNAVAILABLE", "The build 000000000000 is not kept beside the snapshots."]);
    for (const file of filesOf(join(place, "builds"))) {
      const bytes = readFileSync(file);
      const flipped = Buffer.from(bytes);
      flipped[bytes.length - 2]! ^= 1;
      writeFileSync(file, flipped);
      assert.equal((await loadKept(place, codeHash, join(dataDir, "flipped"), app)).code, "SNAPSHOT_DAMAGED", file);
      rmSync(file);
      assert.match((await loadKept(place, codeHash, join(dataDir, "gone"), app)).code!, /^(SNAPSHOT_MISSING|CODE_UNAVAILABLE)$/, file);
      writeFileSync(file, bytes);
    }
    assert.equal((await loadKept(place, codeHash, dataDir, app)).codeHash, codeHash);
  });

  test("is kept again when it was damaged", TIMEOUT, async (t) => {
    const { app, place, dataDir } = project(t);
    const codeHash = await keepApp(place, app);
    const manifest = filesOf(join(place, "builds")).find((file) => file.endsWith("manifest"))!;
    writeFileSync(manifest, "TMB\0nothing");
    await keepApp(place, app);
    assert.equal((await loadKept(place, codeHash, dataDir, app)).codeHash, codeHash);
  });

  test("is encrypted where snapshots are", TIMEOUT, async (t) => {
    const { at, app, place, dataDir } = project(t);
    const KEYS = write(join(at, "keys"), `one:${Buffer.alloc(32, 7).toString("base64")}\n`);
    const { chmodSync } = await import("node:fs");
    chmodSync(KEYS, 0o600);
    const codeHash = await keepApp(place, app, "production", { KEYS });
    for (const file of filesOf(join(place, "builds"))) assert(!/LIMIT|counted|TYPE/.test(readFileSync(file, "latin1")));
    assert.equal((await loadKept(place, codeHash, dataDir, app, { KEYS })).codeHash, codeHash);
    assert.equal((await loadKept(place, codeHash, dataDir, app)).code, "SNAPSHOT_KEY_MISSING");
  });

  test("of the jobs that ship stands on the code of the same Tidemark", TIMEOUT, async (t) => {
    const at = folder(t);
    const app = join(ROOT, "actors/shipped.ts");
    const codeHash = await keepApp(join(at, "place"), app);
    const kept = await loadKept(join(at, "place"), codeHash, join(at, "data"), app);
    assert.deepEqual([kept.codeHash, kept.jobs?.length, kept.detail], [codeHash, 8, undefined]);
  });
});
