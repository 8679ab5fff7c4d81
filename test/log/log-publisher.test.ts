import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import type { Msg } from "@nats-io/transport-node";
import { SLOTS, slotOf } from "../../actors/model/key.ts";
import { isTidemarkError, TidemarkError } from "../../runtime/errors.ts";
import type { Published } from "../../runtime/log/event-conveyor.ts";
import { type CloudEvent, type LogPublisherOptions, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { appendAcknowledged } from "../../runtime/log/publish-ack.ts";
import { firstSlotMap, type SlotMap, subjectsOfPartition } from "../../runtime/log/slot-map.ts";
import { startTestNats } from "../support/nats.ts";
import { api, connectTo, createLog, readEntries } from "./log-setup.ts";

const nats = await startTestNats({ after });
const nc = await connectTo({ after }, nats.url);

function event(key: string, n: number, pad = ""): CloudEvent {
  return { specversion: "1.0", id: `${key}-${n}`, source: "test", type: "t", subject: key, data: { n, pad } };
}

interface StoredEvent {
  readonly id: string;
  readonly key: string;
  readonly n: number;
  readonly partition: number;
  readonly sequence: number;
  readonly index: number;
  readonly subject: string;
  readonly contentType: string | undefined;
}

/** Every event of a log, read back from its streams. */
async function eventsOf(log: string, partitions: number): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const stored = new NatsPartitionLog(nc, log, partition);
    const { lastSequence } = await stored.bounds();
    const reader = stored.read(1);
    for (const entry of await readEntries(reader, lastSequence)) {
      const body = JSON.parse(Buffer.from(entry.payload).toString()) as CloudEvent | CloudEvent[];
      const contentType = entry.headers?.get("content-type");
      assert.equal(Array.isArray(body), contentType === "application/cloudevents-batch+json");
      for (const [index, one] of (Array.isArray(body) ? body : [body]).entries()) {
        const { n } = one.data as { n: number };
        const { sequence, subject } = entry;
        events.push({ id: one.id, key: String(one.subject), n, partition, sequence, index, subject, contentType });
      }
    }
    await reader.close();
  }
  return events;
}

/** Per key, the first time each event occurs must come in the order of publishing; later ones are repetitions. */
function assertKeyOrder(events: readonly StoredEvent[]): void {
  const last = new Map<string, number>();
  const seen = new Set<string>();
  for (const { id, key, n } of events) {
    if (seen.has(id)) continue;
    seen.add(id);
    assert.ok(n > (last.get(key) ?? -1), `${key}: ${n} behind ${last.get(key)}`);
    last.set(key, n);
  }
}

function assertStoredAt(events: readonly StoredEvent[], id: string, at: Published): void {
  const found = events.some((e) => e.id === id && e.partition === at.partition && e.sequence === at.sequence && e.index === at.index);
  assert.ok(found, `${id} is not at ${JSON.stringify(at)}`);
}

const codeOf = (error: unknown) => (error instanceof TidemarkError ? error.code : String(error));

suite("a publisher of single events", () => {
  test("each event is acknowledged with its place; the events of a busy key travel together in their order", async () => {
    const map = await createLog(nc, "single", 2);
    const publisher = openLogPublisher(nc, "single", map);
    const published = await Promise.all(
      Array.from({ length: 300 }, async (_, n) => ({
        id: `k${n % 3}-${n}`,
        at: await publisher.publish(`k${n % 3}`, event(`k${n % 3}`, n)),
      })),
    );
    const events = await eventsOf("single", 2);
    assert.equal(events.length, 300);
    assertKeyOrder(events);
    for (const { id, at } of published) assertStoredAt(events, id, at);
    for (const { key, subject, partition } of events) {
      assert.equal(subject, `single.${slotOf(key)}.e.${key}`);
      assert.equal(partition, slotOf(key) % 2);
    }
    assert.ok(
      events.some((e) => e.index > 10),
      "no batch was made of the waiting events of a key",
    );
    publisher.close();
  });

  test("bytes that are not known to be CloudEvents, and events with headers, never stand in a batch", async () => {
    const map = await createLog(nc, "alone");
    const publisher = openLogPublisher(nc, "alone", map);
    const raw = (n: number) => Buffer.from(JSON.stringify(event("k", n)));
    const head = new Map([["ce-id", "7"]]);
    const places = await Promise.all(
      [0, 1, 2, 3].map((n) => (n === 2 ? publisher.publish("k", event("k", n), head) : publisher.publish("k", raw(n)))),
    );
    assert.deepEqual(
      places.map((place) => [place.sequence, place.index]),
      [
        [1, 0],
        [2, 0],
        [3, 0],
        [4, 0],
      ],
    );
    publisher.close();
  });

  test("two events of one id are both stored: the fold has to see the second", async () => {
    const map = await createLog(nc, "twice");
    const publisher = openLogPublisher(nc, "twice", map);
    const first = await publisher.publish("k", event("k", 1));
    const second = await publisher.publish("k", event("k", 1));
    assert.deepEqual([first.sequence, second.sequence], [1, 2]);
    publisher.close();
  });

  test("a key that cannot be written and an event over 512 KiB are refused, their neighbours are not", async () => {
    const map = await createLog(nc, "refused");
    const publisher = openLogPublisher(nc, "refused", map);
    const outcomes = await Promise.allSettled([
      publisher.publish("", event("", 1)),
      publisher.publish("k", event("k", 1)),
      publisher.publish("k", new Uint8Array(512 * 1024 + 1)),
      publisher.publish("\ud800", event("x", 1)),
      publisher.publish("k", event("k", 2)),
    ]);
    const said = outcomes.map((o) => (o.status === "fulfilled" ? "stored" : codeOf(o.reason)));
    assert.deepEqual(said, ["KEY_INVALID", "stored", "EVENT_TOO_LARGE", "KEY_INVALID", "stored"]);
    publisher.close();
  });

  test("a log without a stream is LOG_MISSING, a full one LOG_FULL, event by event", async () => {
    const nowhere = openLogPublisher(nc, "nowhere", firstSlotMap(1), { tries: 2 });
    await assert.rejects(nowhere.publish("k", event("k", 1)), (e) => isTidemarkError(e, "LOG_MISSING"));
    nowhere.close();
    const map = await createLog(nc, "full", 1, 20_000);
    const publisher = openLogPublisher(nc, "full", map);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 40 }, (_, n) => publisher.publish(`k${n}`, event(`k${n}`, n, "x".repeat(1_000)))),
    );
    const events = await eventsOf("full", 1);
    assert.ok(events.length > 5 && events.length < 20, `${events.length} stored`);
    for (const [n, outcome] of outcomes.entries()) {
      if (outcome.status === "fulfilled") assertStoredAt(events, `k${n}-${n}`, outcome.value);
      else assert.equal(codeOf(outcome.reason), "LOG_FULL");
    }
    assert.equal(outcomes.filter((o) => o.status === "fulfilled").length, events.length);
    publisher.close();
  });

  test("more calls than may wait are refused, and ready tells when there is room again", async () => {
    const map = await createLog(nc, "pressed");
    const publisher = openLogPublisher(nc, "pressed", map, { messagesMax: 4, waitingEventsMax: 10 });
    const calls = Array.from({ length: 40 }, (_, n) => publisher.publish(`k${n}`, event(`k${n}`, n)));
    const outcomes = await Promise.allSettled(calls);
    const refused = outcomes.filter((o) => o.status === "rejected").map((o) => codeOf(o.reason));
    assert.deepEqual(refused, new Array(26).fill("PUBLISH_OVERLOADED"));
    for (let n = 0; n < 100; n++) {
      await publisher.ready();
      publisher.publish(`k${n}`, event(`k${n}`, n)).catch(assert.fail);
    }
    await publisher.drain();
    assert.equal((await eventsOf("pressed", 1)).length, 114);
    publisher.close();
  });

  test("closing gives every event without an outcome PUBLISH_TIMEOUT", async () => {
    nc.subscribe("mute.>", { callback: () => {} });
    const publisher = openLogPublisher(nc, "mute", firstSlotMap(1));
    const calls = Promise.allSettled(Array.from({ length: 5 }, (_, n) => publisher.publish("k", event("k", n))));
    publisher.close();
    assert.deepEqual(
      (await calls).map((o) => (o.status === "rejected" ? codeOf(o.reason) : "stored")),
      new Array(5).fill("PUBLISH_TIMEOUT"),
    );
    await assert.rejects(publisher.publish("k", event("k", 9)), (e) => isTidemarkError(e, "PUBLISH_TIMEOUT"));
  });
});

/** Stands in for a stream whose answers the test gives by hand. */
async function stream(log: string, options: LogPublisherOptions) {
  const arrived: Msg[] = [];
  const waiters: (() => void)[] = [];
  const subscription = nc.subscribe(`${log}.>`, {
    callback: (_error, msg) => {
      arrived.push(msg);
      for (const resolve of waiters.splice(0)) resolve();
    },
  });
  await nc.flush();
  const publisher = openLogPublisher(nc, log, firstSlotMap(1), options);
  return {
    publisher,
    arrived,
    async message(i: number): Promise<Msg> {
      while (arrived[i] === undefined) await new Promise<void>((resolve) => waiters.push(resolve));
      return arrived[i];
    },
    ack: (msg: Msg, seq: number) => msg.respond(JSON.stringify({ stream: `${log}-0`, seq })),
    refuse: (msg: Msg, err_code: number) =>
      msg.respond(JSON.stringify({ error: { code: 429, err_code, description: "no" }, stream: `${log}-0`, seq: 0 })),
    close() {
      publisher.close();
      subscription.unsubscribe();
    },
  };
}

suite("answers that come late or are refusals", () => {
  test("an acknowledgement of an abandoned try settles nothing; that of the last try does, and only then the key goes on", async () => {
    const s = await stream("late", { ackTimeoutMs: 60 });
    let settled = false;
    const first = s.publisher.publish("k", event("k", 1)).finally(() => {
      settled = true;
    });
    const second = s.publisher.publish("k", event("k", 2));
    const [try1, try2] = [await s.message(0), await s.message(1)];
    assert.deepEqual(Buffer.from(try2.data), Buffer.from(try1.data));
    assert.notEqual(try1.reply, try2.reply);
    s.ack(try1, 5);
    s.refuse(try1, 10077);
    const try3 = await s.message(2);
    assert.deepEqual(Buffer.from(try3.data), Buffer.from(try1.data), "the next message of the key did not wait");
    assert.equal(settled, false);
    s.ack(try3, 9);
    assert.deepEqual(await first, { partition: 0, sequence: 9, index: 0 });
    const next = await s.message(3);
    s.ack(next, 10);
    assert.equal((await second).sequence, 10);
    s.close();
  });

  test("a refused message is sent again before anything later of its key, other keys go on", async () => {
    const s = await stream("busy", { ackTimeoutMs: 5_000 });
    const a1 = s.publisher.publish("a", event("a", 1));
    const a2 = s.publisher.publish("a", event("a", 2));
    const b1 = s.publisher.publish("b", event("b", 1));
    s.refuse(await s.message(0), 10167);
    s.ack(await s.message(1), 1);
    await b1;
    const again = await s.message(2);
    assert.deepEqual(Buffer.from(again.data), Buffer.from(s.arrived[0]!.data));
    s.ack(again, 2);
    s.ack(await s.message(3), 3);
    assert.deepEqual(
      (await Promise.all([a1, a2])).map((place) => place.sequence),
      [2, 3],
    );
    s.close();
  });

  test("no answer at all is PUBLISH_TIMEOUT after the tries that were allowed", async () => {
    const s = await stream("silent", { ackTimeoutMs: 40, tries: 3 });
    await assert.rejects(s.publisher.publish("k", event("k", 1)), (e) => isTidemarkError(e, "PUBLISH_TIMEOUT"));
    assert.equal(s.arrived.length, 3);
    s.close();
  });
});

suite("a publisher of batches", () => {
  test("events of many keys arrive once, on their partition's batch subject, in order per key, each with its place", async () => {
    const map = await createLog(nc, "batched", 3);
    const publisher = openLogPublisher(nc, "batched", map, { batchEventsMax: 20 });
    const events = Array.from({ length: 2_000 }, (_, n) => ({ key: `key ${n % 97}`, payload: event(`key ${n % 97}`, n) }));
    const halves = [events.slice(0, 1_000), events.slice(1_000)].map((half) => publisher.publishBatch(half));
    const results = (await Promise.all(halves)).flat();
    const stored = await eventsOf("batched", 3);
    assert.equal(stored.length, 2_000);
    assertKeyOrder(stored);
    for (const [n, result] of results.entries()) {
      assert.ok(!(result instanceof TidemarkError));
      assertStoredAt(stored, events[n]!.payload.id, result);
    }
    for (const { subject, partition, index } of stored) {
      assert.equal(subject, `batched.p${partition}.b.1`);
      assert.ok(index < 20);
    }
    publisher.close();
  });

  test("no message is over 512 KiB, and a bad event fails alone", async () => {
    const map = await createLog(nc, "sized");
    const publisher = openLogPublisher(nc, "sized", map, { lanes: 1 });
    const pad = "x".repeat(200_000);
    const events = Array.from({ length: 7 }, (_, n) => ({ key: "k", payload: event("k", n, pad) }));
    const results = await publisher.publishBatch([
      { key: "", payload: event("", 0) },
      ...events,
      { key: "k", payload: new Uint8Array(600_000) },
    ]);
    assert.deepEqual(
      results.map((r) => (r instanceof TidemarkError ? r.code : r.sequence)),
      ["KEY_INVALID", 1, 1, 2, 2, 3, 3, 4, "EVENT_TOO_LARGE"],
    );
    publisher.close();
  });

  test("batches made with an old map are split anew with the stored one, in order per key", async () => {
    const old = await createLog(nc, "moved", 2);
    const publisher = openLogPublisher(nc, "moved", old, { lanes: 2, batchEventsMax: 10 });
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`);
    const batch = (round: number) => keys.map((key) => ({ key, payload: event(key, round) }));
    const before = await publisher.publishBatch(batch(0));
    assert.ok(before.every((r) => !(r instanceof TidemarkError)));
    const map: SlotMap = { version: 2, partitions: 2, owners: Array.from({ length: SLOTS }, (_, slot) => (slot >> 1) % 2) };
    // Unbound first: no slot may be taken by two streams.
    for (const [partition, subjects] of [
      [0, ["moved.none"]],
      [1, subjectsOfPartition("moved", 1, map)],
      [0, subjectsOfPartition("moved", 0, map)],
    ] as const) {
      const { config } = await api<{ config: object }>(nc, `STREAM.INFO.moved-${partition}`);
      await api(nc, `STREAM.UPDATE.moved-${partition}`, { ...config, subjects });
    }
    await appendAcknowledged(nc, "$KV.tidemark-logs.moved", Buffer.from(JSON.stringify(map)), { stream: "KV_tidemark-logs" });
    const rounds = await Promise.all([1, 2, 3].map((round) => publisher.publishBatch(batch(round))));
    const stored = await eventsOf("moved", 2);
    for (const [i, results] of rounds.entries()) {
      for (const [j, result] of results.entries()) {
        assert.ok(!(result instanceof TidemarkError), String(result));
        assertStoredAt(stored, `${keys[j]}-${i + 1}`, result);
      }
    }
    for (const { key, n, partition, subject } of stored.filter((e) => e.n > 0)) {
      assert.equal(partition, map.owners[slotOf(key)], `${key} ${n}`);
      assert.equal(subject, `moved.p${partition}.b.2`);
    }
    for (const partition of [0, 1]) assertKeyOrder(stored.filter((e) => e.partition === partition));
    publisher.close();
  });
});

suite("a server killed while events are on their way", () => {
  for (const mode of ["single", "batch"] as const) {
    test(`${mode}: every acknowledged event is in the log where it was said to be, and the order per key holds`, async () => {
      const log = `killed-${mode}`;
      const map = await createLog(nc, log, 2);
      const publisher = openLogPublisher(nc, log, map, { messagesMax: 64, ackTimeoutMs: 1_000, tries: 20, batchEventsMax: 10 });
      const acknowledged = new Map<string, Published>();
      const failed: string[] = [];
      const note = (id: string, outcome: Published | TidemarkError) => {
        if (outcome instanceof TidemarkError) failed.push(outcome.message);
        else acknowledged.set(id, outcome);
      };
      let restarts: Promise<void> | undefined;
      for (let n = 0; n < 5_000; n += 50) {
        const round = Array.from({ length: 50 }, (_, k) => ({ key: `k${k}`, payload: event(`k${k}`, n) }));
        await publisher.ready();
        if (mode === "batch") {
          void publisher.publishBatch(round).then((results) => {
            for (const [i, result] of results.entries()) note(round[i]!.payload.id, result);
          });
        } else {
          for (const { key, payload } of round) {
            publisher.publish(key, payload).then(
              (at) => note(payload.id, at),
              (error: TidemarkError) => note(payload.id, error),
            );
          }
        }
        if (n === 1_500) restarts = nats.restart().then(() => nats.restart());
      }
      await restarts;
      await publisher.drain();
      await nc.flush();
      assert.deepEqual(failed, []);
      assert.equal(acknowledged.size, 5_000);
      const stored = await eventsOf(log, 2);
      assertKeyOrder(stored);
      const places = new Set(stored.map((e) => `${e.id} ${e.partition}:${e.sequence}.${e.index}`));
      for (const [id, at] of acknowledged) assert.ok(places.has(`${id} ${at.partition}:${at.sequence}.${at.index}`), id);
      publisher.close();
    });
  }
});
