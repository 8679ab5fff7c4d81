import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import { readRecord } from "../../actors/fold/reference-entry.ts";
import { reference } from "../../actors/model/reference.ts";
import { TidemarkError } from "../../runtime/errors.ts";
import { MemoryPartitionLog } from "../../runtime/log/memory-partition-log.ts";
import type { AppendOptions } from "../../runtime/log/partition-log.ts";
import { awaitCopies } from "../../runtime/reference/copies.ts";
import { putRecord, type RecordDraft, readRecords, type WritableReferenceLog } from "../../runtime/reference/reference-writer.ts";
import { SleepClock, turn } from "../support/memory-world.ts";

const TARIFFS = [reference("tariffs", { schema: Type.Object({ price: Type.Number() }) })];
const PLACE = { log: "billing", table: "tariffs", id: "std" };
const FROM = "2026-01-01T00:00:00Z";

/** Answers come turns later, so that writers meet; one in `losing` gets lost. */
class SlowReferenceLog implements WritableReferenceLog {
  readonly inner = new MemoryPartitionLog({ stream: "billing-reference" });
  readonly stream = "billing-reference";
  /** Appends that are stored and not answered. */
  losing = 0;

  async append(subject: string, payload: Uint8Array, options?: AppendOptions): Promise<number> {
    await turn();
    const sequence = await this.inner.append(subject, payload, options);
    if (this.losing === 0) return sequence;
    this.losing--;
    throw new TidemarkError("PUBLISH_TIMEOUT", `${subject}.`);
  }

  async firstOn(subject: string, from: number) {
    await turn();
    return await this.inner.firstOn(subject, from);
  }

  async lastOn(subject: string) {
    await turn();
    return await this.inner.lastOn(subject);
  }

  async countOn(subject: string): Promise<number> {
    let count = 0;
    for (let at = 1; at <= this.inner.lastSequence; at++) if (this.inner.entryAt(at)!.subject === subject) count++;
    return count;
  }
}

const draft = (version: number, price: unknown = version, effectiveFrom = FROM): RecordDraft => ({
  version,
  effectiveFrom,
  data: price === null ? null : { price },
});
const put = (log: SlowReferenceLog, of: RecordDraft, dryRun = false) => putRecord(log, TARIFFS, PLACE, of, dryRun);
const versions = async (log: SlowReferenceLog) => (await readRecords(log, PLACE, 1, 1_000)).items.map(({ version }) => version);

suite("writers of one record", () => {
  test("whatever they put at the same time, versions rise and each has one content", async () => {
    const aPut = fc.record({ version: fc.integer({ min: 1, max: 6 }), price: fc.constantFrom<unknown>(1, 2, null) });
    await fc.assert(
      fc.asyncProperty(fc.array(aPut, { minLength: 1, maxLength: 12 }), fc.integer({ min: 0, max: 2 }), async (puts, losing) => {
        const log = new SlowReferenceLog();
        log.losing = losing;
        const results = await Promise.allSettled(puts.map(({ version, price }) => put(log, draft(version, price))));
        const stored = (await readRecords(log, PLACE, 1, 1_000)).items;
        for (let i = 1; i < stored.length; i++) assert(stored[i]!.version > stored[i - 1]!.version);
        results.forEach((result, i) => {
          const { version, price } = puts[i]!;
          const there = stored.find((record) => record.version === version);
          const same = there !== undefined && (there.data === null ? price === null : (there.data as { price: unknown }).price === price);
          if (result.status === "fulfilled") assert.deepEqual([same, result.value.sequence], [true, there?.sequence]);
          else assert.match(String(result.reason), /REFERENCE_CONFLICT/);
        });
      }),
      { numRuns: 200 },
    );
  });

  test("whose answer is lost finds what it has stored", async () => {
    const log = new SlowReferenceLog();
    log.losing = 1;
    assert.deepEqual(await put(log, draft(1)), { sequence: 1, written: false });
    assert.deepEqual(await versions(log), [1]);
  });
});

suite("a version", () => {
  test("of another spelling of the same content is the same; of another content or instant it is a conflict", async () => {
    const log = new SlowReferenceLog();
    await put(log, { version: 1, effectiveFrom: FROM, data: { price: 1, note: "x" } });
    assert.equal(
      (await put(log, { version: 1, effectiveFrom: "2026-01-01T01:00:00+01:00", data: { note: "x", price: 1.0 } })).written,
      false,
    );
    await assert.rejects(put(log, draft(1, 2)), /REFERENCE_CONFLICT: tariffs "std": version 1 is there with other content/);
    await assert.rejects(
      put(log, { version: 1, effectiveFrom: "2026-01-02T00:00:00Z", data: { price: 1, note: "x" } }),
      /REFERENCE_CONFLICT/,
    );
  });

  test("below the highest is found when it was put, so that a file of them may be put again, and else is a conflict", async () => {
    const log = new SlowReferenceLog();
    for (const version of [1, 2, 5]) await put(log, draft(version));
    for (const version of [1, 2, 5]) assert.equal((await put(log, draft(version))).written, false);
    await assert.rejects(put(log, draft(3)), /version 3 does not follow version 5/);
  });

  test("beyond the thousandth is refused, with what to do", async () => {
    const log = new SlowReferenceLog();
    for (let version = 1; version <= 1_000; version++)
      await log.inner.append(
        "billing-reference.tariffs.std",
        Buffer.from(`{"id":"std","version":${version},"effectiveFrom":"${FROM}","data":null}`),
      );
    await assert.rejects(put(log, draft(1_001)), /REFERENCE_INVALID: .*at most 1000 versions; let the id name a period/);
  });

  test("is not written in a dry run, which refuses the same", async () => {
    const log = new SlowReferenceLog();
    assert.deepEqual(await put(log, draft(1), true), { sequence: undefined, written: true });
    assert.deepEqual(await versions(log), []);
    await put(log, draft(1));
    assert.deepEqual(await put(log, draft(1), true), { sequence: 1, written: false });
    await assert.rejects(put(log, draft(1, 9), true), /REFERENCE_CONFLICT/);
  });

  const REFUSED: Readonly<Record<string, readonly [RegExp, RecordDraft, string?]>> = {
    "of no number": [/version is a whole number from 1/, draft(0.5)],
    "without an instant": [/effectiveFrom is an RFC 3339/, draft(1, 1, "2026-01-01")],
    "without data": [/data is missing/, { version: 1, effectiveFrom: FROM, data: undefined }],
    "against the schema": [/data \/price/, draft(1, "much")],
    "too large": [/65\d{3} bytes, at most 65536/, { version: 1, effectiveFrom: FROM, data: { price: 1, note: "x".repeat(65_500) } }],
    "nested too deep": [
      /cannot be kept/,
      { version: 1, effectiveFrom: FROM, data: { price: 1, deep: JSON.parse("[".repeat(70) + "]".repeat(70)) as unknown } },
    ],
    "with half a character": [/cannot be kept/, { version: 1, effectiveFrom: FROM, data: { price: 1, note: "\ud800" } }],
    "of an id that cannot be one": [/an id has 1 to 256 bytes/, draft(1), ""],
  };
  for (const [what, [message, of, id]] of Object.entries(REFUSED)) {
    test(`${what} is refused`, async () => {
      const putting = putRecord(new SlowReferenceLog(), TARIFFS, { ...PLACE, id: id ?? "std" }, of);
      await assert.rejects(putting, (error: Error) => error.message.startsWith("REFERENCE_INVALID") && message.test(error.message));
    });
  }

  test("that is taken by the writer is taken by the fold: the two read it alike", async () => {
    const log = new SlowReferenceLog();
    await put(log, { version: 3, effectiveFrom: "2026-03-29T00:00:00+01:00", data: { price: 1e21, käse: ["\u0000", -0, 1e-7] } });
    const [stored] = (await readRecords(log, PLACE, 1, 10)).items;
    const { sequence: _sequence, storedAt: _storedAt, ...record } = stored!;
    assert.deepEqual(record, readRecord(Buffer.from(log.inner.entryAt(1)!.payload).toString()));
    assert.deepEqual(record.data, { price: 1e21, käse: ["\u0000", 0, 1e-7] });
  });
});

suite("waiting for copies", () => {
  const copy = (log: MemoryPartitionLog, source: number) =>
    log.append("billing.p0.r.tariffs".replace("p0", `p${log.stream.slice(-1)}`), Buffer.from("{}"), {
      headers: new Map([
        ["tidemark-source", String(source)],
        ["tidemark-previous", String(source - 1)],
      ]),
    });
  const partitions = [new MemoryPartitionLog({ stream: "billing-0" }), new MemoryPartitionLog({ stream: "billing-1" })];
  const ask = (source: number, waitMs: number) =>
    awaitCopies({ log: "billing", table: "tariffs", source, partitions, clock: new SleepClock(), waitMs });

  test("names the partitions that did not have them in time, and positions behind the copies of the others", async () => {
    await copy(partitions[1]!, 4);
    assert.deepEqual(await ask(4, 50), { positions: ["1:1.0"], missing: [0] });
    assert.deepEqual(await ask(4, 0), { positions: ["1:1.0"], missing: [0] });
    assert.deepEqual(await ask(5, 50), { positions: [], missing: [0, 1] });
  });

  test("ends when they have come", async () => {
    const asked = ask(5, 60_000);
    await copy(partitions[1]!, 5);
    await copy(partitions[0]!, 7);
    assert.deepEqual(await asked, { positions: ["0:1.0", "1:2.0"], missing: [] });
  });
});
