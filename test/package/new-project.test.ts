/** `tidemark init`: which folders it takes, and what an interrupted run leaves. That the project works is tested with the package. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { suite, test } from "node:test";
import { createProject } from "../../api/cli/new-project.ts";
import { TIDEMARK_VERSION } from "../../runtime/own-package.ts";
import { folder } from "../support/clone.ts";
import { NO_TERMINAL, ROOT, run } from "../support/packed.ts";

interface Manifest {
  readonly name: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
}

suite("a new project", () => {
  test("has the name of its folder, and depends on what it is told", (t) => {
    const place = join(folder(t), "My Shop_2");
    const project = createProject({ folder: place, tidemark: TIDEMARK_VERSION });
    assert.deepEqual([project.folder, project.name], [place, "my-shop-2"]);
    const { name, dependencies } = readManifest(place);
    assert.deepEqual([name, dependencies], ["my-shop-2", { tidemark: TIDEMARK_VERSION }]);
    assert.ok(readFileSync(join(place, "README.md"), "utf8").startsWith("# my-shop-2\n"));
  });

  test("compiles with the versions that this repository is checked with", () => {
    const own = { ...readManifest(ROOT).dependencies, ...readManifest(ROOT).devDependencies };
    const { devDependencies, dependencies } = readManifest(join(ROOT, "template"));
    for (const [name, version] of Object.entries(devDependencies)) assert.equal(version, own[name], name);
    assert.deepEqual(dependencies, { tidemark: TIDEMARK_VERSION });
  });

  test("runs no install script that this repository does not", () => {
    const { allowScripts } = readManifest(join(ROOT, "template"));
    assert.deepEqual(allowScripts, readManifest(ROOT).allowScripts);
  });

  test("depends on a tarball by its place as seen from the project, with file: and without", (t) => {
    const place = folder(t);
    writeFileSync(join(place, "tidemark.tgz"), "");
    const tarball = relative(process.cwd(), join(place, "tidemark.tgz"));
    for (const [name, tidemark] of [
      ["a", `file:${tarball}`],
      ["b", tarball],
      ["c", join(place, "tidemark.tgz")],
    ] as const) {
      createProject({ folder: join(place, name, "b"), tidemark });
      assert.equal(readManifest(join(place, name, "b")).dependencies.tidemark, "file:../../tidemark.tgz");
    }
    createProject({ folder: join(place, "d"), tidemark: "https://example.com/tidemark.tgz" });
    assert.equal(readManifest(join(place, "d")).dependencies.tidemark, "https://example.com/tidemark.tgz");
  });

  test("is refused a file that is not there, and nothing is written", (t) => {
    const place = join(folder(t), "shop");
    for (const tidemark of ["file:none.tgz", "none.tgz", "file:../none"])
      assert.throws(() => createProject({ folder: place, tidemark }), { code: "USAGE_INVALID", message: /there is no such file/ });
    assert.ok(!existsSync(place));
  });

  test("in a folder whose name is none for npm is called my-project", (t) => {
    assert.equal(createProject({ folder: join(folder(t), "_"), tidemark: TIDEMARK_VERSION }).name, "my-project");
  });
});

suite("the folder of a new project", () => {
  test("may be under version control already", (t) => {
    const place = folder(t);
    mkdirSync(join(place, ".git"));
    createProject({ folder: place, tidemark: TIDEMARK_VERSION });
    assert.ok(existsSync(join(place, "app.ts")) && existsSync(join(place, ".gitignore")));
  });

  for (const path of ["notes.txt", "app.ts", "actors/other.ts", ".gitignore", "app.ts/"]) {
    test(`that holds ${path} of someone else is refused, and nothing is written`, (t) => {
      const place = folder(t);
      mkdirSync(join(place, path, path.endsWith("/") ? "." : ".."), { recursive: true });
      if (!path.endsWith("/")) writeFileSync(join(place, path), "mine");
      const before = readdirSync(place, { recursive: true });
      assert.throws(() => createProject({ folder: place, tidemark: TIDEMARK_VERSION }), {
        code: "FOLDER_NOT_EMPTY",
        detail: `${place} holds ${path.replace(/\/$/, "")}.`,
      });
      assert.deepEqual(readdirSync(place, { recursive: true }), before);
    });
  }

  test("that an interrupted run left is finished", (t) => {
    const place = folder(t);
    const all = createProject({ folder: place, tidemark: TIDEMARK_VERSION }).written;
    for (const path of ["package.json", "actors/customer.ts"]) rmSync(join(place, path));
    writeFileSync(join(place, "package.json.half"), '{ "na');
    assert.deepEqual([...createProject({ folder: place, tidemark: TIDEMARK_VERSION }).written].sort(), [
      "actors/customer.ts",
      "package.json",
    ]);
    assert.deepEqual(createProject({ folder: place, tidemark: TIDEMARK_VERSION }).written, []);
    assert.deepEqual(allFiles(place), [...all].sort());
  });

  test("that is a file is refused with the system's reason", (t) => {
    const file = join(folder(t), "file");
    writeFileSync(file, "");
    assert.throws(() => createProject({ folder: file, tidemark: TIDEMARK_VERSION }), {
      code: "FOLDER_UNWRITABLE",
      message: /not a directory/,
    });
  });
});

suite("the command", () => {
  const words = [process.execPath, join(ROOT, "setup/tidemark.mjs"), "init"] as const;
  const init = (cwd: string, ...args: string[]) => run(words[0], [...words.slice(1), ...args], cwd).ended;

  test("says what to do next on a terminal", { skip: NO_TERMINAL }, async (t) => {
    const line = [...words, "my shop", "--tidemark", TIDEMARK_VERSION].map((word) => `'${word}'`).join(" ");
    const { code, stdout } = await run("script", ["-qec", line, "/dev/null"], folder(t)).ended;
    const said = stdout.replaceAll("\r", "");
    assert.equal(code, 0, said);
    assert.match(
      said,
      /^The project my-shop is made: \d+ files\. Next:\n\n {2}cd 'my shop'\n {2}npm install\n {2}npm test\n {2}npm run dev\n/,
    );
  });

  test("gives a record to a program", async (t) => {
    const place = folder(t);
    const { code, stdout } = await init(place, "shop", "--tidemark", TIDEMARK_VERSION);
    const { name, written } = JSON.parse(stdout) as { name: string; written: string[] };
    assert.deepEqual([code, name, written.includes("package.json")], [0, "shop", true]);
  });

  test("fails with the code when the folder is in use, and with usage when it is called wrongly", async (t) => {
    const place = folder(t);
    writeFileSync(join(place, "mine"), "");
    const refused = await init(place, "--tidemark", TIDEMARK_VERSION);
    assert.deepEqual([refused.code, refused.stdout], [1, ""]);
    assert.match(refused.stderr, /FOLDER_NOT_EMPTY: .* holds mine\./);
    const usage = await init(place, "a", "b");
    assert.equal(usage.code, 2);
  });

  test("says which option to give, for npm would find the package on no registry", async (t) => {
    const place = folder(t);
    const { code, stderr } = await init(place, "shop");
    assert.equal(code, 2);
    assert.match(stderr, /on no registry yet.*`npm pack` in a clone, and add --tidemark tidemark-\d+\.\d+\.\d+\.tgz\./);
    assert.ok(!existsSync(join(place, "shop")));
  });
});

function readManifest(place: string): Manifest {
  return JSON.parse(readFileSync(join(place, "package.json"), "utf8")) as Manifest;
}

function allFiles(place: string): string[] {
  return readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(place, join(entry.parentPath, entry.name)))
    .sort();
}
