import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import type { Feature } from "../../actors/model/feature.ts";
import { job } from "../../actors/model/job.ts";
import { readKey, writeKey } from "../../actors/model/key.ts";
import { output, stream } from "../../actors/model/stream.ts";
import {
  bounded,
  ENTRY_BYTES_MAX,
  type FeatureEntry,
  type FeatureValue,
  featureValue,
  MEMBERS_MAX,
  merged,
  readEntry,
  ttlSeconds,
  writeEntry,
} from "../../runtime/features/feature-entry.ts";
import { featureKey, ownerKey, placeKey } from "../../runtime/features/feature-key.ts";
import { T0 } from "../support/entries.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 300);
/** Of ADR-8 of NATS, and of its clients. */
const KV_KEY = /^[-/_=.a-zA-Z0-9]+$/;
const plain: Feature = { name: "f", ttlMs: 60_000, by: undefined };
const sided: Feature = { name: "f", ttlMs: 60_000, by: "m" };

const aKey = fc
  .oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 40 }),
    fc.string({ unit: fc.constantFrom(..."aZ9-_:@+=,~%. /*>ä3D"), minLength: 1, maxLength: 12 }),
  )
  .filter((key) => writeKey(key) !== undefined);

suite("the key of a feature", () => {
  test("takes only what a bucket takes, whatever the actor's key, and gives it back", () => {
    fc.assert(
      fc.property(aKey, (key) => {
        const written = featureKey("a.spend-1h", writeKey(key)!);
        assert.match(written, KV_KEY);
        assert.ok(written.startsWith("a.spend-1h.") && !written.endsWith("."));
        const token = written.slice("a.spend-1h.".length);
        assert.ok(!token.includes("."));
        assert.equal(
          Buffer.from(
            token.replace(/=(..)/g, "%$1").replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
            "latin1",
          ).toString(),
          key,
        );
      }),
      { numRuns: RUNS },
    );
  });

  test("is another one for another key", () => {
    const tokens = ["a=3A", "a:", "a%3A", "a%25", "a=", "a~", "a,", "a+", "a@", "a_", "a-"];
    assert.ok(readKey("a%25") !== undefined);
    assert.equal(new Set(tokens.filter((token) => readKey(token) !== undefined).map((token) => featureKey("f", token))).size, 10);
    assert.deepEqual([featureKey("f", "a:1"), featureKey("f", "a=3A1"), featureKey("f", "%C3%A4")], ["f.a=3A1", "f.a=3D3A1", "f.=C3=A4"]);
  });

  test("never meets what the sink keeps for itself", () => {
    for (const key of [ownerKey("spend-1h"), placeKey("risk", 3)]) assert.match(key, KV_KEY);
    assert.throws(() => output("features._owner", { schema: Type.Object({}), feature: { ttl: "1h" } }), /does not begin with "_"/);
  });
});

interface Offered {
  readonly shard: number;
  readonly history: number;
  readonly k: number;
  readonly member: string;
}

/** The stream of a history is created behind all outputs of the one before. */
function valueOfOutput({ shard, history, k }: Offered): FeatureValue {
  const storedAtMs = T0 + history * 1_000 + k;
  return featureValue(sided, { value: k, time: "2026-01-15T12:00:00.000Z", id: `j.${shard}.${k}`, k, history: `h${history}`, storedAtMs });
}

const anOffer: fc.Arbitrary<Offered> = fc.record({
  shard: fc.constant(0),
  history: fc.nat({ max: 2 }),
  k: fc.integer({ min: 1, max: 50 }),
  member: fc.constantFrom("EUR", "USD", "", "__proto__", "constructor", "1"),
});

suite("an entry", () => {
  test("ends with the newest of each member, in whatever order and grouping they come, as often as they come", () => {
    fc.assert(
      fc.property(fc.array(fc.array(anOffer, { minLength: 1, maxLength: 4 }), { maxLength: 20 }), (groups) => {
        const expected = new Map<string, Offered>();
        let entry: FeatureEntry = new Map();
        for (const group of groups) {
          const updates = new Map<string, FeatureValue>();
          for (const offer of group) {
            updates.set(offer.member, valueOfOutput(offer));
          }
          for (const [member] of updates) {
            const offer = group.findLast((one) => one.member === member)!;
            const held = expected.get(member);
            if (held === undefined || [offer.history - held.history, offer.k - held.k].find((by) => by !== 0)! > 0)
              expected.set(member, offer);
          }
          // Through the bytes each time, as the bucket has them.
          entry = readEntry(sided, writeEntry(sided, merged(entry, updates, T0) ?? entry));
        }
        assert.deepEqual(
          new Map([...entry].sort()),
          new Map([...expected].map(([member, offer]) => [member, valueOfOutput(offer)] as const).sort()),
        );
      }),
      { numRuns: RUNS },
    );
  });

  test("of two shards is what was stored later: the slot of its key has moved", () => {
    const [early, late] = [
      valueOfOutput({ shard: 0, history: 0, k: 40, member: "" }),
      valueOfOutput({ shard: 1, history: 1, k: 2, member: "" }),
    ];
    const both = (first: FeatureValue, second: FeatureValue) => merged(new Map([["", first]]), new Map([["", second]]), T0)?.get("");
    assert.equal(both(early, late), late);
    assert.equal(both(late, early), undefined);
  });

  test("loses members whose time is over, and lives as long as the last one", () => {
    const [first, second] = [
      valueOfOutput({ shard: 0, history: 0, k: 1, member: "" }),
      valueOfOutput({ shard: 0, history: 2, k: 1, member: "" }),
    ];
    const next = merged(new Map([["EUR", first]]), new Map([["USD", second]]), T0 + 60_500)!;
    assert.deepEqual([...next.keys()], ["USD"]);
    assert.equal(
      ttlSeconds(
        new Map([
          ["EUR", first],
          ["USD", second],
        ]),
        T0,
      ),
      63,
    );
    assert.equal(merged(next, new Map([["EUR", first]]), T0 + 60_500), undefined);
  });

  test("is bounded: what expires first is left out, and the newest never", () => {
    const many = (count: number, value: unknown): FeatureEntry =>
      new Map(
        Array.from({ length: count }, (_, i) => [`m${i}`, { ...valueOfOutput({ shard: 0, history: 0, k: i + 1, member: "" }), value }]),
      );
    const kept = bounded(sided, many(300, 1)).entry;
    assert.equal(kept.size, MEMBERS_MAX);
    assert.ok(kept.has("m299") && !kept.has("m43"));
    const large = bounded(sided, many(5, "x".repeat(300_000)));
    assert.ok(large.payload.length <= ENTRY_BYTES_MAX && large.entry.has("m4"));
    assert.equal(
      bounded(plain, new Map([["", { ...valueOfOutput({ shard: 0, history: 0, k: 1, member: "" }), value: "x".repeat(2_000_000) }]])).entry
        .size,
      1,
    );
  });

  test("that somebody else wrote is read as nothing, or as the members that make sense", () => {
    const good = valueOfOutput({ shard: 0, history: 0, k: 1, member: "" });
    const wrong = [
      null,
      1,
      [],
      {},
      { ...good, k: 2 },
      { ...good, id: "j.0" },
      { ...good, expiresAt: "soon" },
      { ...good, storedAt: "2026-01-15" },
    ];
    for (const value of wrong) assert.equal(readEntry(plain, Buffer.from(JSON.stringify(value))).size, 0, JSON.stringify(value));
    const members = Buffer.from(JSON.stringify({ by: { EUR: good, USD: wrong[4], CHF: null } }));
    assert.deepEqual([...readEntry(sided, members).keys()], ["EUR"]);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => void readEntry(sided, bytes).size,
      ),
      { numRuns: RUNS },
    );
  });
});

suite("a declaration", () => {
  const Spent = Type.Object({ currency: Type.String(), cents: Type.Optional(Type.Integer()) });
  const jobOf = (...types: ReturnType<typeof output<typeof Spent>>[]) =>
    job("risk", {
      log: "risk",
      actors: types.map((type, i) => actor(`a${i}`, { in: { paid: stream("paid", { schema: Spent }) }, out: { type }, on: { paid() {} } })),
    });

  test("is refused with what is wrong about it", () => {
    assert.throws(() => output("spend", { schema: Spent, feature: { ttl: "1h" } }), /the type of a feature is features\.<name>/);
    assert.throws(() => output("features.spend", { schema: Spent, feature: { ttl: "10ms" } }), /feature\.ttl is 1s to 366d/);
    assert.throws(() => output("features.spend", { schema: Spent, feature: { ttl: "soon" } }), /feature\.ttl: "soon" is no duration/);
    assert.throws(
      () => output("features.spend", { schema: Spent, feature: { ttl: "1h", by: "cents" } }),
      /feature\.by names "cents", which is no field/,
    );
  });

  test("of one type is the same in all actors of a job", () => {
    const hour = output("features.spend", { schema: Spent, feature: { ttl: "1h" } });
    const day = output("features.spend", { schema: Spent, feature: { ttl: "24h" } });
    const none = output("features.spend", { schema: Spent });
    assert.deepEqual([...jobOf(hour, hour).features], [["features.spend", { name: "spend", ttlMs: 3_600_000, by: undefined }]]);
    for (const types of [
      [hour, day],
      [hour, none],
      [none, hour],
    ])
      assert.throws(() => jobOf(...types), /with different features/);
  });
});
