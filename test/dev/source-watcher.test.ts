import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { hashOfFile, SourceWatcher } from "../../runtime/dev/source-watcher.ts";

function setUp(t: TestContext) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "tidemark-watch-")));
  const watcher = new SourceWatcher();
  t.after(() => {
    watcher.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const loaded = (...files: readonly string[]) => files.map((file) => ({ file, hash: hashOfFile(file) }));
  return { folder, watcher, write, loaded };
}

async function isUnchanged(watcher: SourceWatcher): Promise<boolean> {
  return (await Promise.race([watcher.changed().then(() => "changed"), Promise.resolve("unchanged")])) === "unchanged";
}

suite("a watched file is changed", { timeout: 30_000 }, () => {
  test("when it is written in place", async (t) => {
    const { watcher, write, loaded } = setUp(t);
    watcher.watch(loaded(write("app.ts", "1")));
    write("app.ts", "2");
    await watcher.changed();
  });

  test("when another file is renamed over it, the first time and the next", async (t) => {
    const { watcher, write, loaded } = setUp(t);
    const app = write("app.ts", "1");
    for (const text of ["2", "3", "4"]) {
      watcher.watch(loaded(app));
      renameSync(write("app.ts.new", text), app);
      await watcher.changed();
    }
  });

  test("when it is deleted, and again when it comes back", async (t) => {
    const { watcher, write, loaded } = setUp(t);
    const app = write("app.ts", "1");
    watcher.watch(loaded(app));
    rmSync(app);
    await watcher.changed();
    watcher.rebase();
    write("app.ts", "1");
    await watcher.changed();
  });

  test("when a file that an import misses appears, in a folder that is not there yet", async (t) => {
    const { folder, watcher, write } = setUp(t);
    watcher.watch([{ file: join(folder, "actors", "late.ts"), hash: "" }]);
    mkdirSync(join(folder, "actors"));
    write("actors/late.ts", "1");
    await watcher.changed();
  });

  test("when its folder is moved away and another put in its place", async (t) => {
    const { folder, watcher, write, loaded } = setUp(t);
    mkdirSync(join(folder, "actors"));
    watcher.watch(loaded(write("app.ts", "1"), write("actors/a.ts", "1")));
    renameSync(join(folder, "actors"), join(folder, "before"));
    mkdirSync(join(folder, "actors"));
    write("actors/a.ts", "2");
    await watcher.changed();
    watcher.rebase();
    write("actors/a.ts", "3");
    await watcher.changed();
  });

  test("when it was changed between being loaded and being watched", async (t) => {
    const { watcher, write, loaded } = setUp(t);
    const modules = loaded(write("app.ts", "1"));
    write("app.ts", "2");
    watcher.watch(modules);
    await watcher.changed();
  });
});

test("a file that is touched, written with the same text, or not of the app is no change", { timeout: 30_000 }, async (t) => {
  const { watcher, write, loaded } = setUp(t);
  const app = write("app.ts", "1");
  watcher.watch(loaded(app));
  // Sees the same events of the same folder, each one a moment later: when it tells, the other has looked.
  const behind = new SourceWatcher();
  t.after(() => behind.close());
  behind.watch(loaded(write("behind.ts", "1")));
  utimesSync(app, new Date(), new Date());
  write("app.ts", "1");
  write("notes.txt", "1");
  write("behind.ts", "2");
  await behind.changed();
  assert(await isUnchanged(watcher));
});
