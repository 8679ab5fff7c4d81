import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { writeWatermark } from "../../actors/fold/journal.ts";
import type { JobOptions } from "../../actors/model/job.ts";
import type { PumpedEvent } from "../../actors/model/repartition.ts";
import { outputsOf, repartition } from "../../actors/model/repartition.ts";
import { stream } from "../../actors/model/stream.ts";
import { formatInstant } from "../../actors/model/time.ts";
import type { ShardClock } from "../../runtime/pump/pump.ts";
import { installGuards } from "../../runtime/shard/guards.ts";
import { cloudEvent, T0 } from "../support/entries.ts";
import { SOURCE_STREAM } from "../support/pump-log.ts";
import { PumpWorld } from "../support/pump-world.ts";
import { runEvent, scriptedJob } from "../support/scripted.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

type Key = (event: PumpedEvent<unknown>) => string | undefined;

/** `ann/1` in the source is a key `ann` in the target. */
const byUser: Key = ({ key }) => key.split("/")[0];
const fed = (key: Key = byUser, options: Partial<JobOptions> = {}) =>
  scriptedJob({ from: [repartition("src", { streams: [SOURCE_STREAM], key })], ...options });
const world = (sources: number, targets: number, job = fed()) => new PumpWorld(job, { sources, targets });
const say = (text: string) => [{ say: text }];

suite("a pump", () => {
  test("brings each event to its new key, in the order of its source, whatever the numbers of partitions", async () => {
    for (const [sources, targets] of [
      [1, 1],
      [4, 4],
      [3, 2],
      [2, 5],
    ] as const) {
      const of = world(sources, targets);
      const sent: Record<string, string[]> = {};
      for (let i = 0; i < 60; i++) {
        const key = `${["ann", "bob", "cy", "dee"][i % 4]}/${i % 3}`;
        const source = await of.publish({ key, time: T0 + i, steps: say(`${i}`) });
        sent[`${byUser({ key } as never)} ${source}`] ??= [];
        sent[`${byUser({ key } as never)} ${source}`]!.push(`${i}`);
      }
      for (const source of of.sources.keys()) await of.drain(of.start(source));
      const said = of.said();
      assert.equal(Object.values(said).flat().length, 60);
      for (const [place, texts] of Object.entries(sent)) {
        const mine = new Set(texts);
        assert.deepEqual(
          said[place.split(" ")[0]!]!.filter((text) => mine.has(text)),
          texts,
          `${sources} to ${targets}: ${place}`,
        );
      }
    }
  });

  test("leaves id, source, time, type and data as they are, in whatever mode the event came", async () => {
    const of = world(1, 1);
    const event = {
      ...cloudEvent(runEvent({ id: "a", key: "ann/1", steps: say("a") })),
      sourceposition: "0:99.0",
      pumperror: "no",
      more: [1],
    };
    await of.append(0, "src.p0.b.1", JSON.stringify([event]));
    const { data, specversion: _, ...attributes } = cloudEvent(runEvent({ id: "b", key: "ann/1", steps: say("b") }));
    const headers = new Map(Object.entries({ specversion: "1.0", ...attributes }).map(([name, value]) => [`ce-${name}`, String(value)]));
    await of.sources[0]!.append("src.p0.b.1", Buffer.from(JSON.stringify(data)), { headers });
    await of.drain(of.start(0));
    const [first] = of.entries(0).filter(({ payload }) => payload.length > 0);
    const [a, b] = JSON.parse(Buffer.from(first!.payload).toString()) as Record<string, unknown>[];
    const { pumperror: _error, ...rest } = event;
    assert.deepEqual(a, { ...rest, subject: "ann", sourceposition: "0:1.0" });
    assert.deepEqual(
      [b?.id, b?.source, b?.time, b?.subject, b?.sourceposition],
      ["b", "/test", "2026-01-15T12:00:00.000Z", "ann", "0:2.0"],
    );
    assert.deepEqual(of.said(), { ann: ["a", "b"] });
  });

  test("takes the events of its streams for which there is a key, and no others", async () => {
    const of = world(
      1,
      1,
      fed(({ key }) => (key === "mine" ? "m" : undefined)),
    );
    await of.publish({ key: "mine", steps: say("mine") });
    await of.publish({ key: "other", steps: say("other") });
    await of.append(0, "src.p0.b.1", JSON.stringify([cloudEvent({ id: "x", key: "mine", type: "other.type" })]));
    await of.append(0, "src.p0.j.job", "");
    await of.append(0, "src.p0.r.table", "{}");
    await of.drain(of.start(0));
    assert.deepEqual(of.said(), { m: ["mine"] });
    assert.equal(of.fold(0).meta.counts.in, 1);
  });

  test("leaves to the source what is no event there: unreadable, or where it does not belong", async () => {
    const of = world(2, 1);
    const event = JSON.stringify(cloudEvent(runEvent({ id: "a", key: "ann/1", steps: say("a") })));
    const there = await of.publish({ key: "ann/1", steps: say("sound") });
    const other = 1 - there;
    for (const [subject, payload] of [
      ["src.1.e.x", "{"],
      ["src.1.e.x", event],
      [`src.p${other}.b.1`, `[${event}]`],
      [`src.p${there}.b.1`, "[{}]"],
      ["src.p0.q", event],
    ] as const)
      await of.append(other, subject, payload);
    for (const source of of.sources.keys()) await of.drain(of.start(source));
    assert.deepEqual(of.said(), { ann: ["sound"] });
  });

  test("splits a source's entry that is larger than a message, and goes on inside of it", async () => {
    const of = world(1, 1);
    const events = Array.from({ length: 2_500 }, (_, i) => cloudEvent(runEvent({ id: `${i}`, key: "ann/1", steps: say(`${i}`) })));
    await of.append(0, "src.p0.b.1", JSON.stringify(events));
    let appends = 0;
    const broken = of.start(0, {}, (log) => ({
      stream: log.stream,
      bounds: () => log.bounds(),
      firstOn: (...args) => log.firstOn(...args),
      lastOn: (...args) => log.lastOn(...args),
      read: (from) => log.read(from),
      append: (...args) => (++appends === 2 ? Promise.reject(new Error("broken")) : log.append(...args)),
    }));
    await assert.rejects(of.drain(broken), /broken/);
    const [link] = of.links(0, 0);
    assert.equal(link?.next.sequence, 1);
    assert.ok(link.next.index > 0 && link.next.index < 2_500);
    await of.drain(of.start(0));
    assert.deepEqual(
      of.said().ann,
      events.map(({ id }) => id),
    );
    assert.equal(of.fold(0).meta.counts.repeated, 0);
  });

  test("writes everything again into a partition that has lost it, and the others skip what they have", async () => {
    const of = world(1, 2);
    for (let i = 0; i < 20; i++) await of.publish({ key: `k${i}/1`, steps: say(`${i}`) });
    await of.drain(of.start(0));
    const before = of.said();
    of.targets[0]!.truncate(0);
    await of.drain(of.start(0));
    assert.deepEqual(of.said(), before);
    await of.publish({ key: "k1/1", steps: say("more") });
    await of.drain(of.start(0));
    assert.deepEqual(of.said().k1, ["1", "more"]);
  });

  test("refuses to go on behind the end of a source that was truncated, or before the beginning of one that was trimmed", async () => {
    const of = world(1, 1);
    for (let i = 0; i < 5; i++) await of.publish({ key: "ann/1", steps: say(`${i}`) });
    await of.drain(of.start(0));
    of.sources[0]!.truncate(3);
    await assert.rejects(of.start(0).step(), { code: "LOG_TRUNCATED" });
    for (let i = 0; i < 5; i++) await of.publish({ key: "ann/1", steps: say("again") });
    of.sources[0]!.trim(7);
    await assert.rejects(of.start(0).step(), { code: "LOG_TRIMMED" });
  });
});

suite("a key function", () => {
  const codes = async (key: Key, data: object = { steps: [] }) => {
    const of = world(1, 1, fed(key));
    await of.append(0, "src.p0.b.1", JSON.stringify([cloudEvent({ id: "x", key: "ann/1", type: "script.run", data })]));
    await of.drain(of.start(0, { guard: installGuards() }));
    const [entry] = of.entries(0).filter(({ payload }) => payload.length > 0);
    const [event] = JSON.parse(Buffer.from(entry?.payload ?? "[]").toString()) as { readonly pumperror?: string }[];
    return { reason: event?.pumperror, said: of.said() };
  };

  test("that throws, or gives no key, sends the event to the target's quarantine", async () => {
    for (const key of [
      () => {
        throw new Error("no user");
      },
      () => "",
      () => "x".repeat(300),
      () => 7 as never,
      () => Promise.resolve("a") as never,
    ] satisfies Key[]) {
      const { reason, said } = await codes(key);
      assert.match(reason!, /^the key function (threw Error: no user|gave no key)/);
      assert.deepEqual(said, { "%": ["pump-key"] });
    }
  });

  test("that asks for the time or for randomness is refused as a handler is", async () => {
    for (const key of [() => String(Date.now()), () => String(Math.random())]) {
      assert.match((await codes(key)).reason!, /the key function threw .*(Date|Math\.random)/);
    }
  });

  test("is not asked about data that its stream's schema refuses", async () => {
    const strict = stream("script.run", { schema: Type.Object({ steps: Type.Array(Type.Unknown()), user: Type.String() }) });
    const of = world(1, 1, scriptedJob({ from: [repartition("src", { streams: [strict], key: ({ data }) => data.user.toUpperCase() })] }));
    await of.publish({ key: "a", steps: say("a") });
    await of.drain(of.start(0));
    assert.deepEqual(of.said(), { "%": ["pump-key"] });
  });

  test("sees data of an older version as the newest; what is written is what came", async () => {
    const newest = stream("script.run", { schema: Type.Object({ steps: Type.Array(Type.Unknown()), user: Type.String() }) });
    const older = Type.Object({ steps: Type.Array(Type.Unknown()) });
    const up = ({ steps }: { readonly steps: readonly unknown[] }) => ({ steps: [...steps], user: "old" });
    const pumps = [repartition("src", { streams: [newest.upcast(older, up)], key: ({ data }) => data.user })];
    const of = world(1, 1, scriptedJob({ from: pumps }));
    await of.publish({ key: "a", steps: say("as it came") });
    await of.drain(of.start(0));
    assert.deepEqual(of.said(), { old: ["as it came"] });
    const [entry] = of.entries(0).filter(({ payload }) => payload.length > 0);
    const [event] = JSON.parse(Buffer.from(entry!.payload).toString()) as { readonly data: object }[];
    assert.deepEqual(event?.data, { steps: say("as it came") });
  });

  test("that changes the event changes nothing of what is written", async () => {
    const of = world(
      1,
      1,
      fed(({ data }) => {
        (data as { steps: unknown }).steps = [];
        return "ann";
      }),
    );
    await of.publish({ key: "a", steps: say("as it came") });
    await of.drain(of.start(0));
    assert.deepEqual(of.said(), { ann: ["as it came"] });
  });
});

suite("the clock of a source", () => {
  const times = (of: PumpWorld, target: number) => of.links(target, 0).map(({ time, watermark }) => [time, watermark]);

  test("reaches every partition of the target, also one that gets no events", async () => {
    const of = world(1, 4);
    await of.publish({ key: "ann/1", time: T0, steps: [] });
    await of.publish({ key: "ann/1", time: T0 - 5, steps: [] });
    await of.drain(of.start(0));
    for (const target of of.targets.keys()) assert.deepEqual(times(of, target).at(-1), [T0, undefined]);
  });

  test("counts events that the pump does not take, and none that is too far ahead of the log", async () => {
    const of = world(
      1,
      1,
      fed(() => undefined),
    );
    await of.publish({ key: "a", time: T0 });
    const ahead = cloudEvent(runEvent({ id: "z", key: "a", time: T0 + 48 * 60 * MINUTE }));
    await of.append(0, "src.p0.b.1", JSON.stringify([ahead]));
    await of.drain(of.start(0));
    assert.deepEqual(times(of, 0), [[T0, undefined]]);
  });

  test("is told at most once in a second to a partition without events, and at once when the source says something of itself", async () => {
    const of = world(
      1,
      2,
      fed(() => "ann"),
    );
    const pump = of.start(0, { tellEveryMs: SECOND });
    const others = () => of.targets.map((_, target) => of.links(target, 0)).sort((a, b) => a.length - b.length)[0]!;
    for (let i = 0; i < 5; i++) {
      await of.publish({ key: "a", time: T0 + i });
      await of.drain(pump);
    }
    assert.equal(others().length, 1);
    await of.append(0, "src.p0.j._log", writeWatermark(formatInstant(T0 + MINUTE)));
    await of.drain(pump);
    assert.deepEqual([others().length, others().at(-1)?.watermark], [2, T0 + MINUTE]);
    await of.publish({ key: "a", time: T0 + 9 });
    await of.clock.sleep(SECOND);
    await of.drain(pump);
    assert.deepEqual([others().length, others().at(-1)?.time], [3, T0 + 9]);
  });

  test("is not told ahead of the events before it, nor behind those after it", async () => {
    const of = world(
      1,
      1,
      fed(() => "ann", { allowedLateness: 0 }),
    );
    await of.publish({ key: "a", time: T0, steps: say("before") });
    await of.append(0, "src.p0.j._log", writeWatermark(formatInstant(T0 + MINUTE)));
    await of.publish({ key: "a", time: T0, steps: say("late") });
    await of.publish({ key: "a", time: T0 + MINUTE, steps: say("after") });
    await of.drain(of.start(0));
    assert.deepEqual(of.said(), { ann: ["before", "tidemark.late", "after"] });
  });

  test("goes on where it was when the pump begins again, and is never told to fall", async () => {
    const of = world(1, 2);
    await of.publish({ key: "ann/1", time: T0 + 9, steps: [] });
    await of.drain(of.start(0));
    await of.publish({ key: "ann/1", time: T0, steps: [] });
    await of.drain(of.start(0));
    for (const target of of.targets.keys()) {
      const told = of.links(target, 0);
      assert.ok(told.every(({ time }) => time === T0 + 9));
    }
  });
});

suite("a silent source", () => {
  const idles = (of: PumpWorld) => of.links(0, 0).filter(({ idle }) => idle === true).length;
  const advance = fed(byUser, { idle: "advance", idleAfter: "60s" });

  test("is told of at once when it never brought anything, and then once in idleAfter", async () => {
    const of = world(1, 1, advance);
    const pump = of.start(0);
    await of.drain(pump);
    await of.drain(pump);
    assert.equal(idles(of), 1);
    for (const expected of [1, 2, 2, 3]) {
      await of.clock.sleep(MINUTE / 2);
      await of.drain(pump);
      assert.equal(idles(of), expected);
    }
  });

  test("is not told of while it brings something, nor when the job holds", async () => {
    const of = world(1, 1, advance);
    const pump = of.start(0);
    for (let i = 0; i < 5; i++) {
      await of.publish({ key: "a", time: T0 + i });
      await of.clock.sleep(MINUTE / 2);
      await of.drain(pump);
    }
    assert.equal(idles(of), 0);
    const hold = world(1, 1, fed(byUser, { idle: "hold" }));
    const held = hold.start(0);
    await hold.drain(held);
    await hold.clock.sleep(10 * MINUTE);
    await hold.drain(held);
    assert.equal(hold.entries(0).length, 0);
  });

  test("is not told of while the stream's leader knows of more than the pump has read", async () => {
    const of = world(1, 1, advance);
    const source = of.sources[0]!;
    const pump = of.start(0, {
      source: {
        stream: source.stream,
        read: (from) => source.read(from),
        firstOn: (subject, from) => source.firstOn(subject, from),
        bounds: async () => ({ firstSequence: 1, lastSequence: 1 }),
      },
    });
    await of.drain(pump);
    await of.clock.sleep(2 * MINUTE);
    await of.drain(pump);
    assert.equal(of.entries(0).length, 0);
  });
});

suite("outputs of a job as a source", () => {
  const job = scriptedJob({ from: [repartition(outputsOf("first"), { streams: [SOURCE_STREAM], key: ({ key }) => `to-${key}` })] });
  const output = (k: number, key: string | undefined, time: number) =>
    JSON.stringify({ ...cloudEvent(runEvent({ id: `first.0.${k}`, source: "tidemark/first/0", time, steps: say(`${k}`) })), subject: key });

  test("come under their new keys, and the shard's own watermark behind all that it had made by then", async () => {
    const of = new PumpWorld(job, { sources: 1, targets: 1 });
    let shard: ShardClock = { watermark: T0, outputs: 2, stored: 2, entry: 2, atEnd: true };
    const pump = of.start(0, { shardClock: () => shard });
    await of.append(0, "first.out.0.a.script.run", output(1, "a", T0 + MINUTE));
    await of.drain(pump);
    assert.deepEqual(
      of.links(0, 0).map(({ time, watermark }) => [time, watermark]),
      [[undefined, undefined]],
    );
    await of.append(0, "first.out.0.b.script.run", output(2, "b", T0));
    await of.drain(pump);
    assert.equal(of.links(0, 0).at(-1)?.watermark, T0);
    shard = undefined;
    await of.append(0, "first.out.0.%.script.run", output(3, undefined, T0));
    await of.drain(pump);
    assert.equal(of.links(0, 0).at(-1)?.watermark, T0);
    shard = { watermark: T0 + 5, outputs: 3, stored: 3, entry: 3, atEnd: true };
    await of.drain(pump);
    assert.deepEqual([of.links(0, 0).at(-1)?.watermark, of.fold(0).meta.watermark], [T0 + 5, T0 + 5]);
    assert.deepEqual(of.said(), { "to-a": ["1"], "to-b": ["2"], "to-": ["3"] });
  });

  test("are idle only when their shard has folded all of its log", async () => {
    const of = new PumpWorld({ ...job, settings: { ...job.settings, idle: "advance" } }, { sources: 1, targets: 1 });
    let atEnd = false;
    const pump = of.start(0, { shardClock: () => ({ watermark: undefined, outputs: 0, stored: 0, entry: 0, atEnd }) });
    await of.drain(pump);
    assert.equal(of.entries(0).length, 0);
    atEnd = true;
    await of.drain(pump);
    assert.equal(of.links(0, 0).length, 1);
  });
});
