import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { SLOTS, slotOf, writeKey } from "../../actors/model/key.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { ensureLogStreams, probeMapping } from "../../runtime/log/log-streams.ts";
import {
  batchSubject,
  checkLogName,
  eventSubject,
  firstSlotMap,
  openSlotMap,
  readSlotMap,
  subjectsOfPartition,
} from "../../runtime/log/slot-map.ts";
import { startTestNats } from "../support/nats.ts";
import { api, connectTo, createLog } from "./log-setup.ts";

const MIB = 1024 * 1024;

const nats = await startTestNats({ after }, { logs: ["mapped"] });
const nc = await connectTo({ after }, nats.url);
const other = await connectTo({ after }, nats.url);

suite("names", () => {
  test("subjects of a partition are its slots, journals, reference data, moves and batches of the map's version", () => {
    const map = firstSlotMap(4);
    const subjects = subjectsOfPartition("cases", 1, map);
    assert.equal(subjects.length, SLOTS / 4 + 4);
    assert.deepEqual(subjects.slice(0, 2), ["cases.1.>", "cases.5.>"]);
    assert.deepEqual(subjects.slice(-4), ["cases.p1.j.>", "cases.p1.r.>", "cases.p1.m", "cases.p1.b.1"]);
    assert.equal(batchSubject("cases", 1, 7), "cases.p1.b.7");
    assert.equal(eventSubject("cases", "a"), `cases.${slotOf("a")}.e.a`);
    const all = [0, 1, 2, 3].flatMap((p) => subjectsOfPartition("cases", p, map));
    assert.equal(new Set(all).size, SLOTS + 16);
  });

  test("a log whose name something else could be taken for is refused", () => {
    for (const name of ["", "Cases", "9a", "a.b", "a_b", "cases-out", "cases-reference", "cases-skips", "cases-0", "a".repeat(32)]) {
      assert.throws(
        () => checkLogName(name),
        (e) => isTidemarkError(e, "CONFIG_INVALID"),
        name,
      );
    }
    for (const name of ["cases", "logins-by-user", "a1", "a".repeat(31)]) checkLogName(name);
  });
});

suite("slot map and streams on a server", () => {
  test("two nodes that open a new log at the same time get one map", async () => {
    const opened = await Promise.all([openSlotMap(nc, "race", 2), openSlotMap(other, "race", 3), openSlotMap(nc, "race", 2)]);
    assert.equal(opened.filter((o) => o.created).length, 1);
    for (const { map } of opened) assert.deepEqual(map, opened[0].map);
    assert.deepEqual(await readSlotMap(nc, "race"), opened[0].map);
    const partitions = opened[0].map.partitions;
    assert.equal(opened.filter((o) => o.notice !== undefined).length, partitions === 2 ? 1 : 2);
  });

  test("a later wish for more partitions gets the stored map and a notice", async () => {
    await openSlotMap(nc, "kept", 2);
    const { map, created, notice } = await openSlotMap(nc, "kept", 8);
    assert.equal(map.partitions, 2);
    assert.equal(created, false);
    assert.match(notice ?? "", /2 partitions.*8/);
  });

  test("two nodes create the streams at once, and again", async () => {
    const { map } = await openSlotMap(nc, "both", 3);
    const settings = { maxBytes: MIB };
    await Promise.all([ensureLogStreams(nc, "both", map, settings), ensureLogStreams(other, "both", map, settings)]);
    await ensureLogStreams(nc, "both", map, settings);
    const { config } = await api<{ config: Record<string, unknown> }>(nc, "STREAM.INFO.both-2");
    const { retention, storage, discard, max_bytes, max_age, max_msgs_per_subject, duplicate_window, allow_direct, deny_delete } = config;
    assert.deepEqual(
      { retention, storage, discard, max_bytes, max_age, max_msgs_per_subject, duplicate_window, allow_direct, deny_delete },
      {
        retention: "limits",
        storage: "file",
        discard: "new",
        max_bytes: MIB,
        max_age: 0,
        max_msgs_per_subject: -1,
        duplicate_window: 5e9,
        allow_direct: true,
        deny_delete: false,
      },
    );
  });

  test("a stream that would drop entries or takes other subjects is LOG_LAYOUT, names each difference and stays as it is", async () => {
    const { map } = await openSlotMap(nc, "laid", 1);
    const config = {
      name: "laid-0",
      subjects: ["laid.1.>", "laid.extra"],
      storage: "file",
      discard: "old",
      max_age: 3600e9,
      max_msgs_per_subject: 5,
      retention: "interest",
    };
    await api(nc, "STREAM.CREATE.laid-0", config);
    const failure = await ensureLogStreams(nc, "laid", map, { maxBytes: MIB }).catch((e: unknown) => e);
    assert.ok(isTidemarkError(failure, "LOG_LAYOUT"));
    for (const word of [
      'retention is "interest"',
      'discard is "old"',
      "max_age",
      "max_msgs_per_subject is 5",
      "subjects lack laid.0.>",
      "subjects have laid.extra",
    ]) {
      assert.ok(failure.message.includes(word), `${word} in ${failure.message}`);
    }
    const { config: kept } = await api<{ config: { discard: string } }>(nc, "STREAM.INFO.laid-0");
    assert.equal(kept.discard, "old");
  });

  test("a foreign stream on a subject of the log is LOG_LAYOUT", async () => {
    await api(nc, "STREAM.CREATE.foreign", { name: "foreign", subjects: ["taken.7.>"], storage: "file" });
    const { map } = await openSlotMap(nc, "taken", 1);
    await assert.rejects(ensureLogStreams(nc, "taken", map, { maxBytes: MIB }), (e) => isTidemarkError(e, "LOG_LAYOUT"));
  });

  test("the probe tells whether plain publishes are mapped, and stores nothing", async () => {
    await createLog(nc, "mapped", 2);
    await createLog(nc, "unmapped", 1);
    assert.equal(await probeMapping(nc, "mapped"), true);
    assert.equal(await probeMapping(nc, "unmapped"), false);
    for (const stream of ["mapped-0", "mapped-1", "unmapped-0"]) {
      const { state } = await api<{ state: { last_seq: number } }>(nc, `STREAM.INFO.${stream}`);
      assert.equal(state.last_seq, 0);
    }
  });

  test("a mapped publish arrives where the client would have put it", async () => {
    await createLog(nc, "mapped", 2);
    const tokens = ["NA", "null", "0", "__proto__", "a:b@c+d=e,f~g-h_i", "ä/ö ü."].map((key) => writeKey(key)!);
    for (const token of tokens) {
      const ack = (await nc.request(`mapped.${token}`, "x")).json<{ stream: string; seq: number }>();
      const stored = await api<{ message: { subject: string } }>(nc, `STREAM.MSG.GET.${ack.stream}`, { seq: ack.seq });
      assert.equal(stored.message.subject, eventSubject("mapped", token));
      assert.equal(ack.stream, `mapped-${slotOf(token) % 2}`);
    }
  });
});
