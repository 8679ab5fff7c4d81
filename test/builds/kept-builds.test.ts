/** Builds beside the snapshots: what is loaded of one has exactly its code hash, or is refused with what is missing. */
import assert from "node:assert/strict";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type KeptBuild, writeKeptBuild } from "../../runtime/builds/kept-build.ts";
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

/** Whoever can write to a place that has no key writes the manifest so, with the checksum that it needs. */
function forge(place: string, change: (build: KeptBuild) => object): void {
  const file = filesOf(join(place, "builds")).find((candidate) => candidate.endsWith("manifest"))!;
  const bytes = readFileSync(file);
  // Behind what says that it is not encrypted.
  const build = JSON.parse(bytes.subarray(4 + 65).toString()) as KeptBuild;
  writeFileSync(file, Buffer.concat([bytes.subarray(0, 4), writeKeptBuild({ ...build, ...change(build) })]));
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

  test("is refused before anything of it is run, when its manifest leads to what its code hash does not cover", TIMEOUT, async (t) => {
    const { at, app, place, dataDir } = project(t);
    const codeHash = await keepApp(place, app);
    const ran = join(at, "ran");
    const planted = write(join(dataDir, "planted/app.ts"), `(await import("node:fs")).writeFileSync(${JSON.stringify(ran)}, "");`);
    const fromTidemark = relative(ROOT, planted);
    const manifest = filesOf(join(place, "builds")).find((file) => file.endsWith("manifest"))!;
    const kept = readFileSync(manifest);
    const forged: Record<string, (build: KeptBuild) => object> = {
      "an app outside of its tree": () => ({ entry: { path: "../../../../planted/app.ts", own: false } }),
      "an app of Tidemark's outside of it": () => ({ entry: { path: fromTidemark, own: true } }),
      "an app of Tidemark's that ships no jobs": () => ({ entry: { path: "runtime/verify/verify-process.ts", own: true } }),
      "code of Tidemark's own outside of the tree": () => ({ ownCode: ["../../../../planted/link"] }),
      "a package that is a path": ({ imports }) => ({ imports: [...imports, "../../../planted/link"] }),
      "a package that its hash does not name": ({ imports }) => ({ imports: [...imports, "typescript"] }),
      "names led elsewhere": ({ manifests }) => ({
        manifests: manifests.map(({ folder }) => ({ folder, text: '{"type":"module","imports":{"#type":"./app.ts"}}' })),
      }),
      "names led nowhere": () => ({ manifests: [] }),
      "a package.json that no file is read by": ({ manifests }) => ({
        manifests: [...manifests, { folder: "../../../../planted", text: '{"type":"module"}' }],
      }),
      "a package.json that says more": ({ manifests }) => ({
        manifests: manifests.map(({ folder, text }) => ({ folder, text: text.replace("{", '{"exports":"./x",') })),
      }),
    };
    for (const [what, change] of Object.entries(forged)) {
      writeFileSync(manifest, kept);
      forge(place, change);
      assert.equal((await loadKept(place, codeHash, dataDir, app)).code, "SNAPSHOT_DAMAGED", what);
      assert(!existsSync(ran), what);
      assert.equal(lstatSync(join(dataDir, "planted/link"), { throwIfNoEntry: false }), undefined, what);
    }
    writeFileSync(manifest, kept);
    forge(place, ({ keptAt }) => ({ keptAt: keptAt + 1 }));
    assert.equal((await loadKept(place, codeHash, dataDir, app)).codeHash, codeHash);
  });

  test("has another code hash when its package.json leads a name elsewhere", TIMEOUT, async (t) => {
    const { at, app, place } = project(t);
    const codeHash = await hashOfApp(place, app);
    const manifest = join(at, "apps/one/package.json");
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace('"secret": "no"', '"secret": "yes"'));
    assert.equal(await hashOfApp(place, app), codeHash);
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace('"imports": {', '"imports": { "#other": "./app.ts",'));
    assert.notEqual(await hashOfApp(place, app), codeHash);
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
