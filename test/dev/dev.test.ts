/** `tidemark dev` on a real server: its app is edited while events flow, and while it is stopped. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { epochSubject } from "../../actors/fold/subject.ts";
import { OutputTail } from "../../api/cli/output-tail.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { assertExactlyOnce, countedOf, DEV_PARTITIONS, DevWorld } from "../support/dev-process.ts";
import { cloudEvent, type ReadOutput } from "../support/entries.ts";
import { sequenceOf } from "../support/node-process.ts";
import { wide } from "../support/wide.ts";

const TIMEOUT = { timeout: 120_000 };

const editsOf = (each: readonly ReadOutput[][]): Set<number> => new Set(each.flat().map((output) => countedOf(output).edit));

suite("an app that is edited while events flow", () => {
  test("hands over: old code before the edit, new code behind it, each hit once, state carried on", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const dev = world.dev();
    await dev.nodePid();
    await world.hit(20);
    await world.untilOutputs(20);
    let flowing = true;
    const publishing = (async () => {
      while (flowing) await world.hit(5);
    })();
    for (const edit of [2, 3]) {
      world.app.edit(edit);
      // In every partition: which key lies where is the log's.
      await world.untilOutputs(0, (each) => each.every((outputs) => outputs.some((output) => countedOf(output).edit === edit)));
    }
    flowing = false;
    await publishing;
    const each = await world.untilOutputs(world.hits);
    assertExactlyOnce(each, world.hits);
    assert.deepEqual(editsOf(each), new Set([1, 2, 3]));
    await assertBoundaries(world, each, 3);
    assert.doesNotMatch(dev.log, /deleted/);
    assert.equal(await dev.stop(), 0, dev.log);
    assert.match(dev.log, /tidemark: drained; the next start goes on from here\n$/);
    assert.deepEqual(
      dev.printedIds.sort(),
      each
        .flat()
        .map(({ id }) => id)
        .sort(),
    );
  });

  wide("with a backlog in the log: all that lay before the edit is the old code's", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const dev = world.dev();
    const pid = await dev.nodePid();
    // The node sleeps while the log fills, and wakes up behind the edit.
    process.kill(pid, "SIGSTOP");
    await world.hit(200);
    world.app.edit(2);
    await dev.says(/hands over/);
    process.kill(pid, "SIGCONT");
    await dev.nodePid(dev.log.indexOf("hands over"));
    await world.hit(10);
    const each = await world.untilOutputs(210);
    assertExactlyOnce(each, 210);
    for (const output of each.flat()) assert.equal(countedOf(output).edit, countedOf(output).n < 200 ? 1 : 2, dev.log);
  });

  test("several times in quick succession ends with the last edit, and loses nothing", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const dev = world.dev();
    await dev.nodePid();
    await world.hit(10);
    for (let edit = 2; edit <= 9; edit++) {
      world.app.edit(edit);
      await world.hit(3);
    }
    await world.untilOutputs(0, (each) => {
      void world.hit(1);
      return each.every((outputs) => outputs.some((output) => countedOf(output).edit === 9));
    });
    const each = await world.untilOutputs(world.hits);
    assertExactlyOnce(each, world.hits);
    assert.doesNotMatch(dev.log, /deleted/);
  });

  test("and does not load leaves the running build alone, says where, and goes on when it is mended", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const dev = world.dev();
    const pid = await dev.nodePid();
    const BROKEN: Readonly<Record<string, RegExp>> = {
      "export const EDIT: number = ;": /APP_INVALID.*\n.*edit\.ts:1\n/,
      "throw new Error('not today.'); export const EDIT = 0;": /APP_INVALID.*not today\. The app/,
      'import "./nowhere.ts";': /APP_INVALID.*nowhere/,
      "process.exit(3); export const EDIT = 0;": /the new build ended: exit code 3/,
      "export const OTHER = 1;": /APP_INVALID.*EDIT/,
    };
    for (const [text, said] of Object.entries(BROKEN)) {
      const from = dev.log.length;
      world.app.save("edit.ts", text);
      await dev.says(said, from);
      await dev.says(/the build before goes on unchanged/, from);
      await world.hit(5);
    }
    const hits = world.hits;
    assert.deepEqual(editsOf(await world.untilOutputs(hits)), new Set([1]));
    assert.equal(process.kill(pid, 0), true);
    world.app.edit(2);
    await dev.nodePid(dev.log.length);
    await world.hit(10);
    assertExactlyOnce(await world.untilOutputs(world.hits), world.hits);
  });

  wide("so that it keeps more goes on with what it has", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const dev = world.dev();
    await dev.nodePid();
    await world.hit(20);
    await world.untilOutputs(20);
    const from = dev.log.length;
    world.app.write({ edit: 1, version: 2, cells: "extra: value(Type.Integer(), 0)" });
    await dev.nodePid(from);
    await world.hit(20);
    assertExactlyOnce(await world.untilOutputs(40), 40);
    assert.doesNotMatch(dev.log, /deleted/);
  });

  test("so that a cell keeps something else is folded anew, and says why", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1, cells: "extra: value(Type.Integer(), 0)" });
    const dev = world.dev();
    await dev.nodePid();
    await world.hit(20);
    await world.untilOutputs(20);
    const from = dev.log.length;
    world.app.write({ edit: 1, version: 2, cells: 'extra: value(Type.String(), "")' });
    await dev.says(/counts changed: the cell extra of its actor counter is declared otherwise/, from);
    await world.hit(5);
    const each = await world.untilOutputs(25, (all) => all.flat().every(({ jobversion }) => jobversion === 2));
    assertExactlyOnce(each, 25);
    await dev.stop();
    // Printed again from the first, for these are other outputs.
    const ids = each.flat().map(({ id }) => id);
    for (const id of ids.slice(0, 20)) assert(dev.printedIds.includes(id));
    assert.deepEqual(dev.printedIds.slice(-25).sort(), ids.sort());
  });

  wide("with another job in it, and without one: the new one starts, the other stops and keeps what it has", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const dev = world.dev();
    await dev.nodePid();
    await world.hit(10);
    let from = dev.log.length;
    world.app.write({ edit: 1, extraJob: true });
    await dev.says(/counts-too is new and starts/, from);
    await world.untilOutputs(10, () => true, "counts-too");
    from = dev.log.length;
    world.app.write({ edit: 1 });
    await dev.says(/counts-too is no longer in the app and stops[\s\S]* ready on /, from);
    await world.hit(10);
    assertExactlyOnce(await world.untilOutputs(20), 20);
    assert.equal((await world.outputs("counts-too")).flat().length, 10);
  });
});

suite("an app that is edited while dev is stopped", () => {
  test("with a backlog in the log is folded anew by the new code alone, and says so", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const first = world.dev();
    await first.nodePid();
    await world.hit(20);
    await world.untilOutputs(20);
    assert.equal(await first.stop(), 0, first.log);
    await world.hit(20);
    world.app.edit(2);
    const second = world.dev();
    await second.says(/counts\/0: the code changed; outputs and state are deleted and the log is folded again from its first entry\n/);
    const each = await world.untilOutputs(40, (all) => !editsOf(all).has(1));
    assertExactlyOnce(each, 40);
  });

  wide("and was not edited goes on where it was", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const first = world.dev();
    await first.nodePid();
    await world.hit(20);
    await world.untilOutputs(20);
    await first.stop();
    await world.hit(20);
    const second = world.dev();
    assertExactlyOnce(await world.untilOutputs(40), 40);
    assert.doesNotMatch(second.log, /deleted/);
    // What was there before it began is not printed again.
    await second.stop();
    assert.equal(second.printedIds.length, 20);
  });

  wide("to another log: its outputs and state are deleted and that log is folded", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const dev = world.dev();
    await dev.nodePid();
    await world.hit(10);
    await world.untilOutputs(10);
    const from = dev.log.length;
    world.app.write({ edit: 1, log: "others" });
    await dev.says(/counts changed: it reads the log others now, not hits/, from);
    await world.untilOutputs(0, (each) => each.flat().length === 0);
    await world.hit(5, "others");
    const each = await world.untilOutputs(5);
    assert.deepEqual(
      each
        .flat()
        .map((output) => countedOf(output).n)
        .sort(),
      [10, 11, 12, 13, 14],
    );
  });
});

suite("dev in the folder of an app", () => {
  test("takes app.ts and starts a server of its own, which maps the logs of every build", TIMEOUT, async (t) => {
    const world = await DevWorld.start(t);
    world.app.write({ edit: 1 });
    const dev = world.dev({ TIDEMARK_NATS_URL: "", TIDEMARK_DATA_DIR: ".tidemark" }, [], world.app.folder);
    const [, url] = await dev.says(/nats-server \S+ started on (nats:\/\/\S+)/);
    await dev.nodePid();
    const nc = await connect({ servers: url! });
    t.after(() => nc.close());
    const hit = (log: string, n: number) =>
      nc.request(`${log}.a`, JSON.stringify(cloudEvent({ id: `h${n}`, key: "a", type: "hit", data: { n } })));
    await hit("hits", 1);
    await dev.prints(1);
    const from = dev.log.length;
    world.app.write({ edit: 1, job: "more", log: "others" });
    await dev.says(/counts is no longer in the app[\s\S]*more ready on /, from);
    await hit("others", 2);
    await dev.prints(2);
    assert.deepEqual(
      dev.printedIds.map((id) => id.split(".")[0]),
      ["counts", "more"],
    );
    assert.equal(await dev.stop(), 0, dev.log);
    // By now another run's server may have the usual port.
    const there = await connect({ servers: url!, reconnect: false }).catch(() => undefined);
    assert.notEqual(there?.info?.server_id ?? "none", nc.info?.server_id ?? "unknown");
    await there?.close();
  });
});

test("on a terminal an output is a line for the eye", TIMEOUT, async (t) => {
  const world = await DevWorld.start(t);
  world.app.write({ edit: 1 });
  const dev = world.dev();
  await dev.nodePid();
  const lines: string[] = [];
  const tail = new OutputTail(await jetstreamManager(world.nc), (line) => lines.push(line), true);
  await tail.begin(["counts"]);
  await world.hit(1);
  await world.untilOutputs(1);
  await tail.poll();
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^2026-01-15T12:00:00\.000Z {2}counts\.[01]\.1 {2}counted {2}a {2}\{"n":0,"count":1,"edit":1\}\n$/);
});

/** In each partition so many epochs, and every output was made by the code of the epoch that its position lies in. */
async function assertBoundaries(world: DevWorld, each: readonly ReadOutput[][], epochs: number): Promise<void> {
  for (let partition = 0; partition < DEV_PARTITIONS; partition++) {
    const log = new NatsPartitionLog(world.nc, "hits", partition);
    const subject = epochSubject("hits", partition, "counts");
    const starts: number[] = [];
    for (let entry = await log.firstOn(subject, 1); entry !== undefined; entry = await log.firstOn(subject, entry.sequence + 1)) {
      starts.push(entry.sequence);
    }
    assert.equal(starts.length, epochs);
    for (const output of each[partition]!) {
      const at = sequenceOf(output.position);
      assert.equal(countedOf(output).edit, Math.max(1, starts.filter((start) => start < at).length), output.position);
    }
  }
}
