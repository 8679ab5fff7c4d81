/**
 * Deaths around a hand-over, on a real server: of the node, of the build that waits, of dev itself. Whatever dies, the next start
 * goes on with the hand-over or folds anew, shard by shard; nothing stays halted, and no code folds another's entries.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { writeEpoch } from "../../actors/fold/journal.ts";
import { epochSubject } from "../../actors/fold/subject.ts";
import { identityOf, loadApp } from "../../runtime/app.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { assertExactlyOnce, countedOf, type DevProcess, DevWorld } from "../support/dev-process.ts";
import type { ReadOutput } from "../support/entries.ts";
import { shardsOf, untilShards } from "../support/node-process.ts";
import { wide } from "../support/wide.ts";

const TIMEOUT = { timeout: 120_000 };
const lastEdits = (each: readonly ReadOutput[][]): number[] => each.map((outputs) => countedOf(outputs.at(-1)!).edit);
const apiUrlOf = async (dev: DevProcess): Promise<string> => (await dev.says(/ready on (\S+),/))[1]!;

/** The node that was ready last; in the middle of a hand-over it may have ended by itself. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ESRCH");
  }
}

/** Appends, as the running build would, the entry that hands a partition over to the app as it lies on the disk. */
async function appendEpoch(world: DevWorld, partition: number): Promise<void> {
  const { jobs, codeHash } = await loadApp(world.app.path);
  const log = new NatsPartitionLog(world.nc, "hits", partition);
  const subject = epochSubject("hits", partition, "counts");
  const last = (await log.lastOn(subject))!.sequence;
  await log.append(subject, Buffer.from(writeEpoch(identityOf(jobs[0]!, codeHash), last, undefined)));
}

/** Twenty hits folded and committed by edit 1, the app changed to edit 2, and `dev` gone before it saw that. */
async function changed(world: DevWorld, before: (dev: DevProcess) => Promise<void> = async () => {}): Promise<void> {
  world.app.write({ edit: 1 });
  const dev = world.dev();
  await dev.nodePid();
  await world.hit(20);
  await world.untilOutputs(20);
  await before(dev);
  await dev.kill();
  world.app.edit(2);
}

suite("dev that is killed with its node", () => {
  test("behind the epoch entry of one partition, which was folded, and before that of the other", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    await changed(world, async (dev) => {
      world.app.edit(2);
      // A node whose parent is asleep: the hand-over goes no further than what is appended here.
      dev.child.kill("SIGSTOP");
      await appendEpoch(world, 0);
      await untilShards(await apiUrlOf(dev), (shards) => shards[0]!.status === "stopped");
    });
    const folded = (await world.outputs())[0]!.length;
    await world.hit(10);
    const dev = world.dev();
    const each = await world.untilOutputs(30, (all) => lastEdits(all).every((edit) => edit === 2) && countedOf(all[1]![0]!).edit === 2);
    assertExactlyOnce(each, 30);
    // Partition 0 went on at its entry, partition 1 was folded anew.
    assert.equal(each[0]!.filter((output) => countedOf(output).edit === 1).length, folded);
    assert.equal(each[1]!.filter((output) => countedOf(output).edit === 1).length, 0);
    await dev.says(/counts\/1: the code changed; outputs and state are deleted/);
    assert.doesNotMatch(dev.log, /counts\/0: the code changed/);
  });

  wide("behind the epoch entry, with entries before it that nobody had folded", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    await changed(world, (dev) => dev.kill());
    await world.hit(10);
    await appendEpoch(world, 0);
    await world.hit(10);
    world.dev();
    const each = await world.untilOutputs(40, (all) => all.every((outputs) => countedOf(outputs[0]!).edit === 2));
    assertExactlyOnce(each, 40);
    assert.deepEqual(new Set(each.flat().map((output) => countedOf(output).edit)), new Set([2]));
  });

  test("at any moment, again and again, while it is edited", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    let dev = world.dev();
    await dev.nodePid();
    const delays = [0, 700];
    for (const [i, delay] of delays.entries()) {
      await world.hit(20);
      world.app.edit(i + 2);
      // Now the old node alone, now everything with it.
      await dev.nodePid();
      await Promise.race([new Promise((resolve) => setTimeout(resolve, delay)), dev.exited]);
      if (i % 2 === 0) killIfThere(dev.lastNodePid);
      else {
        await dev.kill();
        dev = world.dev();
      }
      await world.hit(20);
      await world.untilOutputs(world.hits, (all) => lastEdits(all).every((edit) => edit === i + 2));
    }
    assertExactlyOnce(await world.untilOutputs(world.hits), world.hits);
    const shards = await shardsOf((await dev.says(/[\s\S]*ready on (\S+),/))[1]!);
    assert(shards.every(({ status }) => status === "running"));
  });
});

suite("a node that dies under dev", () => {
  test("is started again, and its code is the one on the disk", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const dev = world.dev();
    const pid = await dev.nodePid();
    await world.hit(20);
    await world.untilOutputs(20);
    const from = dev.log.length;
    process.kill(pid, "SIGKILL");
    await dev.says(/the node died \(SIGKILL\); starting it again/, from);
    assert.notEqual(await dev.nodePid(from), pid);
    await world.hit(10);
    assertExactlyOnce(await world.untilOutputs(30), 30);
    assert.doesNotMatch(dev.log, /deleted/);
  });

  wide("of a handler that kills its process goes on once that is mended, the event included", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1, handler: 'if (n === 12) { process.kill(process.pid, "SIGKILL"); for (;;) {} }' });
    const dev = world.dev();
    await dev.nodePid();
    await world.hit(20);
    await dev.says(/the node died[\s\S]*the node died/);
    world.app.write({ edit: 2 });
    const each = await world.untilOutputs(20, (all) => all.flat().every((output) => countedOf(output).edit === 2));
    assertExactlyOnce(each, 20);
  });

  wide("does not come back while its app does not load, and does when it is mended", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const dev = world.dev();
    const pid = await dev.nodePid();
    await world.hit(10);
    await world.untilOutputs(10);
    world.app.save("edit.ts", "export const EDIT = ;");
    await dev.says(/the build before goes on unchanged/);
    process.kill(pid, "SIGKILL");
    await dev.says(/waiting for a change/);
    world.app.edit(1);
    await dev.says(/ready on[\s\S]*ready on/);
    await world.hit(10);
    assertExactlyOnce(await world.untilOutputs(20), 20);
    assert.doesNotMatch(dev.log, /deleted/);
  });

  test("leaves no process behind when dev is killed", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const dev = world.dev();
    const pid = await dev.nodePid();
    await dev.kill();
    while (isRunning(pid)) await new Promise(setImmediate);
  });
});

suite("a second node", () => {
  test("with other code stands by while the first folds, deletes nothing, and says what it waits for", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const first = world.dev();
    await first.nodePid();
    await world.hit(20);
    const before = await world.untilOutputs(20);
    const other = await DevWorld.start(t);
    other.app.write({ edit: 2 });
    const env = { TIDEMARK_NATS_URL: world.nats.url };
    const second = other.dev(env);
    await second.says(/counts\/[01] waits: SHARD_UNBEGUN: counts, partition [01]: its owner has not begun it with this build/);
    await world.hit(10);
    const each = await world.untilOutputs(30);
    assertExactlyOnce(each, 30);
    for (const [partition, outputs] of before.entries()) assert.deepEqual(each[partition]!.slice(0, outputs.length), outputs);
    // When the first is gone, nothing holds the second up any more.
    await first.stop();
    await second.stop();
    other.dev(env);
    assertExactlyOnce(await world.untilOutputs(30, (all) => all.flat().every((output) => countedOf(output).edit === 2)), 30);
  });
});

suite("dev that cannot run", () => {
  test("says why, and ends with 1 or 2", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const { path } = world.app;
    for (const [args, env, code, said] of [
      [[path, "more"], {}, 2, /USAGE_INVALID: dev: "more"/],
      [["--fast"], {}, 2, /USAGE_INVALID: .*--fast/],
      [["nowhere.ts"], {}, 1, /APP_INVALID: There is no app file nowhere\.ts/],
      [[path], { TIDEMARK_PROFILE: "production" }, 1, /CONFIG_INVALID: TIDEMARK_PROFILE is production/],
      [[path], { TIDEMARK_UNHEARD_OF: "1" }, 1, /CONFIG_INVALID: TIDEMARK_UNHEARD_OF/],
      [[path], { TIDEMARK_NATS_URL: "nats://127.0.0.1:1" }, 1, /NATS_UNREACHABLE/],
    ] as const) {
      const dev = world.dev(env, args);
      assert.equal(await dev.exited, code, dev.log);
      assert.match(dev.log, said);
    }
  });
});

function isRunning(pid: number): boolean {
  try {
    // A zombie has ended; its parent is gone and the machine's first process may be slow to notice.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
