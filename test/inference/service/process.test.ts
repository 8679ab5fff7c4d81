import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ask, codeOf, EchoWorld, outputOf } from "./echo-world.ts";
import type { OrphanStarted } from "./parent-process.ts";

suite("an inference process", { concurrency: 2 }, () => {
  test("is started at the first need, in a directory of this user alone, and is gone when the node stops", async (t) => {
    const world = new EchoWorld(t);
    assert.equal(world.service.pid, undefined);
    assert.equal(await world.service.measures(), undefined);
    const client = world.client();
    const { pid } = outputOf(await ask(client, {}));
    assert.equal(world.service.pid, pid);
    const { path } = world.service.address();
    if (process.platform !== "win32") assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
    assert.ok(Buffer.byteLength(path) < 104);
    const under = ask(client, { hang: true }, { deadline: Date.now() + 500 });
    outputOf(await ask(client, {}));
    await world.service.stop();
    assert.equal(isAlive(pid), false);
    assert.equal(existsSync(dirname(path)), false);
    assert.deepEqual(world.deaths, []);
    // It was asked to end: nothing that was under way is a suspect.
    assert.equal(codeOf(await under), "TIMEOUT");
  });

  test("that is stuck is killed, and what waited for it is answered by the next", async (t) => {
    const world = new EchoWorld(t, { stuckMs: 1_500 });
    const client = world.client();
    // Busy for longer than that, and well.
    outputOf(await ask(client, { waitMs: 2_000 }));
    assert.equal(world.deaths.length, 0);
    const stuck = ask(client, { spin: true });
    const unread = ask(client, {}, { deadline: Date.now() + 200 });
    assert.equal(codeOf(await unread), "TIMEOUT");
    await world.died(1);
    assert.equal(world.deaths[0]!.stuck, true);
    assert.equal(codeOf(await stuck), "CRASHED");
    assert.equal(outputOf(await ask(client, { value: 1 })).value, 1);
  });

  for (const spinning of [false, true]) {
    test(`ends with the process that started it, ${spinning ? "even when it is stuck" : "at once"}, and its directory with it`, async () => {
      const parent = fork(new URL("./parent-process.ts", import.meta.url), [String(spinning)], { stdio: ["ignore", 2, 2, "ipc"] });
      const [{ pid, path }] = (await once(parent, "message")) as [OrphanStarted];
      assert.ok(isAlive(pid));
      parent.kill("SIGKILL");
      // Looked at again and again: its end can be told by nobody, for who started it is gone.
      while (isAlive(pid)) await delay(20);
      assert.equal(existsSync(dirname(path)), false);
    });
  }
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
