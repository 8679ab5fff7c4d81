/** The executor beside a shard in memory, calling a real server. */
import assert from "node:assert/strict";
import { suite, type TestContext, test } from "node:test";
import { readJournalEntry, writeOwner } from "../../actors/fold/journal.ts";
import { ENTRY_MAX_BYTES } from "../../runtime/effects/bounds.ts";
import { type EnrichOptions, enrichJob } from "../support/enrich.ts";
import { ExecutedShard, enrichedIn, OrderLog } from "../support/executed-shard.ts";
import { type FaultyServer, startFaultyServer } from "../support/faulty-server.ts";
import { MemoryWorld, WatchedStore } from "../support/memory-world.ts";

const BOUNDED = { timeout: 60_000 };

interface Setting {
  readonly server: FaultyServer;
  readonly world: MemoryWorld;
  readonly orders: OrderLog;
}

async function setting(t: TestContext, options: EnrichOptions = {}): Promise<Setting> {
  const server = await startFaultyServer(t, {
    segment: ({ path }, response) => {
      const query = new URL(path, "http://x").searchParams;
      const known = query.get("customer") !== "stranger";
      response.writeHead(known ? 200 : 404, { "content-type": "application/json" });
      response.end(JSON.stringify(known ? { segment: `gold ${query.get("n")}` } : {}));
    },
    other: ({ path }, response) =>
      void response.writeHead(path.includes("stranger") ? 404 : 200, { "content-type": "application/json" }).end('{"segment":"other"}'),
    long: (_, response) =>
      void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ segment: "x".repeat(60_000) })),
  });
  const world = new MemoryWorld(enrichJob(server.url, options));
  return { server, world, orders: new OrderLog(world) };
}

const segmentsIn = (world: MemoryWorld): unknown[] => enrichedIn(world).map(({ segment }) => segment);

/** Every entry of results: how many it has, and of which term. */
function resultEntries(world: MemoryWorld) {
  return world.entries.flatMap(({ payload }) => {
    const entry = readJournalEntry(Buffer.from(payload).toString());
    return entry?.kind === "result" ? [entry] : [];
  });
}

suite("a call that a handler asks for", () => {
  test("is made, and its result reaches the handler; a customer that is unknown gets the fallback", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t);
    const executed = await ExecutedShard.start(world);
    await orders.place("ann");
    await orders.place("stranger");
    await executed.untilAnswered();
    assert.deepEqual(segmentsIn(world).sort(), ["gold 1", "unknown"]);
    assert.equal(server.seen.length, 2);
    await executed.stop();
    await world.assertExact();
  });

  test("is made once, however many there are, and results share entries", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t);
    const executed = await ExecutedShard.start(world);
    for (let i = 0; i < 4; i++) await orders.place("ann", 800);
    await executed.untilAnswered();
    assert.equal(enrichedIn(world).length, 3_200);
    const keys = server.seen.map(({ headers }) => headers["idempotency-key"]);
    assert.deepEqual([keys.length, new Set(keys).size], [3_200, 3_200]);
    assert(resultEntries(world).length < 2_000, `${resultEntries(world).length} entries`);
    t.diagnostic(`${resultEntries(world).length} entries of results`);
    await executed.stop();
    await world.assertExact();
  });

  test("that was asked for before the node's start is made by it", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t, { path: "/hang" });
    const before = await ExecutedShard.start(world);
    await orders.place("ann", 300);
    await before.until(() => server.open === 32, "the first calls");
    await before.stop();
    assert.deepEqual([resultEntries(world).length, before.executor.measures().inFlight], [0, []]);
    const after = await ExecutedShard.start(world);
    await after.until(() => server.count("/hang?customer=ann&n=1") === 2, "the first call again");
    server.release();
    await after.untilAnswered();
    assert.equal(enrichedIn(world).length, 300);
    await after.stop();
    await world.assertExact();
  });

  test("is not made again when its result stands in the log that was not folded yet", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t);
    const before = await ExecutedShard.start(world);
    await orders.place("ann", 500);
    await before.untilAnswered();
    await before.crash();
    // Nothing of it is left but the log.
    world.store.clear();
    const after = await ExecutedShard.start(world);
    await after.untilAnswered();
    assert.equal(server.seen.length, 500);
    await after.stop();
    await world.assertExact();
  });

  test("is made again after a crash under the same id, and one result is used", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t);
    for (let crash = 0; crash < 6; crash++) {
      const executed = await ExecutedShard.start(world);
      await orders.place("ann", 200);
      await executed.until(() => server.seen.length > crash * 100 + 50, "a few calls");
      await executed.crash();
    }
    const last = await ExecutedShard.start(world);
    await last.untilAnswered();
    const used = enrichedIn(world).map(({ call }) => call);
    assert.deepEqual([used.length, new Set(used).size], [1_200, 1_200]);
    const made = new Set(server.seen.map(({ headers }) => headers["idempotency-key"]));
    assert.deepEqual([...made].sort(), [...used].sort());
    t.diagnostic(`${server.seen.length - 1_200} calls were repeated`);
    await last.stop();
    await world.assertExact();
  });
});

test("results whose acknowledgement is slower than the fold are known to be used", BOUNDED, async (t) => {
  const { world, orders } = await setting(t);
  const executed = await ExecutedShard.start(world);
  executed.log.ackMs = 20;
  const rewind = t.mock.method(executed.feed, "rewind");
  for (let i = 0; i < 3; i++) {
    await orders.place("ann", 50);
    await executed.untilAnswered();
  }
  assert.equal(rewind.mock.callCount(), 0);
  await executed.stop();
});

suite("a call without an answer", () => {
  for (const path of ["/hang", "/drip"]) {
    test(`(${path}) fails with TIMEOUT at its deadline`, BOUNDED, async (t) => {
      const { world, orders, server } = await setting(t, { path, timeout: 300 });
      const executed = await ExecutedShard.start(world);
      await orders.place("ann");
      await executed.untilAnswered();
      assert.deepEqual([segmentsIn(world), server.seen.length], [["failed: TIMEOUT"], 1]);
      await executed.until(() => server.open === 0, "the end of the request");
      await executed.stop();
    });
  }

  test("whose time passed while the node was down fails with TIMEOUT at once, and is not made", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t, { timeout: "1m" });
    for (let i = 0; i < 3; i++) await orders.place("ann", 900, Date.now() - 120_000);
    const executed = await ExecutedShard.start(world);
    await executed.untilAnswered();
    assert.deepEqual([segmentsIn(world).length, new Set(segmentsIn(world))], [2_700, new Set(["failed: TIMEOUT"])]);
    assert.deepEqual([server.seen.length, executed.executor.measures().attempts], [0, 0]);
    await executed.stop();
    await world.assertExact();
  });
});

test("a call whose time passes while it waits for a place fails with TIMEOUT then", BOUNDED, async (t) => {
  const { world, orders, server } = await setting(t, { path: "/hang", otherTimeout: 200 });
  const executed = await ExecutedShard.start(world);
  await orders.place("ann", 40);
  await executed.until(() => server.open === 32, "as many calls as may be");
  await orders.place("other", 3);
  await executed.until(() => enrichedIn(world).length === 3, "the failures");
  assert.deepEqual([segmentsIn(world), server.open], [Array(3).fill("failed: TIMEOUT"), 32]);
  await executed.stop();
});

suite("the bounds", () => {
  test("hold 32 calls to one origin, and do not hold up another one", BOUNDED, async (t) => {
    const other = await setting(t);
    const { world, orders, server } = await setting(t, { path: "/hang", otherUrl: other.server.url });
    const executed = await ExecutedShard.start(world);
    await orders.place("ann", 400);
    await orders.place("other", 10);
    await executed.until(() => enrichedIn(world).length === 10, "the results of the other service");
    await executed.until(() => server.open === 32, "the calls of the first");
    assert.equal(executed.executor.measures().inFlight.length, 32);
    server.release();
    await executed.untilAnswered();
    assert.deepEqual([server.openMax, enrichedIn(world).length], [32, 410]);
    await executed.stop();
  });

  test("hold what a smaller server takes: results are split, and what is still too large fails", BOUNDED, async (t) => {
    const { world, orders } = await setting(t, { path: "/long" });
    const executed = await ExecutedShard.start(world);
    const answered = async (): Promise<void> => {
      await executed.untilAnswered();
      assert(segmentsIn(world).every((segment) => String(segment).length === 60_000));
    };
    executed.log.state = "full";
    await orders.place("ann", 30);
    await executed.until(() => executed.log.refused >= 2, "results that wait");
    executed.log.state = "open";
    await answered();
    assert(executed.log.largest > 500_000 && executed.log.largest < ENTRY_MAX_BYTES + 100, `${executed.log.largest}`);
    executed.log.state = "full";
    await orders.place("ann", 30);
    await executed.until(() => executed.log.refused >= 4, "results that wait");
    executed.log.messageBytesMax = 250_000;
    executed.log.state = "open";
    await answered();
    executed.log.messageBytesMax = 50_000;
    await orders.place("bob");
    await executed.untilAnswered();
    assert.equal(segmentsIn(world).at(-1), "failed: RESPONSE_TOO_LARGE");
    await executed.stop();
    await world.assertExact();
  });
});

suite("when the log is full", () => {
  test("results wait, no more calls are made, and all goes on when there is room", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t);
    const executed = await ExecutedShard.start(world);
    await orders.place("ann");
    await executed.untilAnswered();
    executed.log.state = "full";
    await orders.place("bob", 500);
    await executed.until(() => executed.log.refused >= 2, "a second refusal");
    const made = server.seen.length;
    await executed.until(() => executed.log.refused >= 3, "a third refusal");
    assert.equal(server.seen.length, made);
    assert(made < 200, `${made} calls`);
    assert.match(world.notices.join("\n"), /results of calls wait to be appended, and no more are made: LOG_FULL/);
    executed.log.state = "open";
    await executed.untilAnswered();
    assert.deepEqual([enrichedIn(world).length, server.seen.length], [501, 501]);
    await executed.stop();
    await world.assertExact();
  });

  test("at the start, nothing is called before there is room for an owner entry", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t);
    await orders.place("ann", 20);
    const executed = await ExecutedShard.start(world, { state: "full" });
    await executed.until(() => executed.log.refused >= 2 && executed.shard.fold.meta.calls === 20, "a second try");
    assert.equal(server.seen.length, 0);
    executed.log.state = "open";
    await executed.untilAnswered();
    assert.deepEqual([enrichedIn(world).length, server.seen.length], [20, 20]);
    assert.equal(executed.shard.role, "owner");
    await executed.stop();
    await world.assertExact();
  });
});

suite("more calls than are answered", () => {
  test("hold up the reading of the log until a tenth of them is answered", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t, { path: "/hang" });
    const executed = await ExecutedShard.start(world, { unansweredMax: 20, tuning: { groupMs: 20, stepEntriesMax: 1 } });
    for (let i = 0; i < 100; i++) await orders.place("ann");
    await executed.until(() => server.open === 20, "calls in flight");
    for (let turns = 0; turns < 200; turns++) await executed.turn();
    assert.deepEqual([executed.shard.step(), executed.shard.fold.meta.calls, server.open], ["blocked", 20, 20]);
    server.release();
    await executed.untilAnswered();
    assert.deepEqual([enrichedIn(world).length, executed.executor.overloaded], [100, false]);
    await executed.stop();
    await world.assertExact();
  });
});

suite("behind another owner's entry", () => {
  test("nothing is begun, and of what is in flight a success is used and a failure is not appended", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t, { path: "/hang", timeout: 1_000 });
    const executed = await ExecutedShard.start(world);
    await orders.place("ann", 40);
    await executed.until(() => server.open === 32, "calls in flight");
    await orders.own("n2");
    await executed.until(() => executed.shard.fold.meta.owner?.token === "token of n2", "the other owner");
    await executed.until(() => executed.executor.measures().inFlight.length === 0, "the end of what is in flight");
    assert.deepEqual([server.seen.length, resultEntries(world).length, executed.executor.measures().errors], [32, 0, { TIMEOUT: 32 }]);
    await executed.stop();
  });

  test("failures that wait for room are not appended any more", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t, { path: "/hang" });
    const executed = await ExecutedShard.start(world);
    await orders.place("ann");
    await executed.until(() => server.open === 1, "a call in flight");
    executed.log.state = "full";
    await orders.place("other stranger", 3);
    await executed.until(() => executed.log.refused >= 1 && executed.executor.measures().inFlight.length === 1, "failures that wait");
    await orders.own("n2");
    await executed.untilOvertaken();
    executed.log.state = "open";
    server.release();
    await executed.until(() => segmentsIn(world).includes("late"), "the success");
    assert.deepEqual([resultEntries(world).flatMap(({ results }) => results).length, executed.shard.fold.meta.calls], [1, 3]);
    await executed.stop();
  });

  test("a success that comes late is used, whoever made the call", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t, { path: "/hang" });
    const executed = await ExecutedShard.start(world);
    await orders.place("ann", 2);
    await executed.until(() => server.open === 2, "calls in flight");
    await orders.own("n2");
    await executed.untilOvertaken();
    server.release();
    await executed.untilAnswered();
    assert.deepEqual([segmentsIn(world), server.seen.length], [["late", "late"], 2]);
    await executed.stop();
    await world.assertExact();
  });

  test("a second shard makes the calls, the first one none, and each result is used once", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t, { path: "/hang" });
    const first = await ExecutedShard.start(world);
    await orders.place("ann", 60);
    await first.until(() => server.open === 32, "calls in flight");
    const second = await ExecutedShard.start(world, { store: new WatchedStore(world.broker) });
    await second.until(() => server.open === 64, "calls of the second");
    await first.until(() => first.shard.role === "standby", "the second owner");
    server.release();
    await second.untilAnswered();
    const used = enrichedIn(world).map(({ call }) => call);
    assert.deepEqual([used.length, new Set(used).size], [60, 60]);
    await first.stop();
    await second.stop();
  });
});

suite("what an earlier build asked for", () => {
  test("is closed without a call by a build that does not declare it", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t, { path: "/hang" });
    const before = await ExecutedShard.start(world);
    await orders.place("ann", 5);
    await before.until(() => server.open === 5, "its calls");
    await before.stop();
    const made = server.seen.length;
    const after = await ExecutedShard.start(world, { job: enrichJob(server.url, { without: true }) });
    await after.untilAnswered();
    assert.deepEqual([server.seen.length, enrichedIn(world), resultEntries(world).length], [made, [], 1]);
    await after.stop();
  });

  test("goes where it was asked to go", BOUNDED, async (t) => {
    const { world, orders, server } = await setting(t, { path: "/hang" });
    const before = await ExecutedShard.start(world);
    await orders.place("ann");
    await before.until(() => server.open === 1, "its call");
    await before.stop();
    server.release();
    const after = await ExecutedShard.start(world, { job: enrichJob(server.url) });
    await after.untilAnswered();
    assert.deepEqual(
      server.seen.map(({ path }) => path.split("?")[0]),
      ["/hang", "/hang"],
    );
    await after.stop();
  });
});

test("a failure whose term was over when it was stored is ignored, and its call is made again", BOUNDED, async (t) => {
  const { world, orders, server } = await setting(t, { path: "/status/404" });
  const executed = await ExecutedShard.start(world);
  await orders.place("ann", 200);
  // As a lost acknowledgement may do: the own owner entry stands a second time, right before the result.
  const { ownerToken, node } = executed.shard.parts;
  let term = 0;
  executed.log.beforeNext = async () => {
    term = await world.log.append("orders.p0.j.orders", Buffer.from(writeOwner(ownerToken, node)));
  };
  await executed.untilAnswered();
  const ignored = resultEntries(world).filter((entry) => entry.term < term);
  assert.deepEqual([enrichedIn(world).length, new Set(segmentsIn(world))], [200, new Set(["unknown"])]);
  const again = ignored.reduce((sum, { results }) => sum + results.length, 0);
  assert(again > 0);
  assert.equal(server.seen.length, 200 + again, "no other call is made again");
  await executed.stop();
  await world.assertExact();
});
