import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Fold } from "../../actors/fold/fold.ts";
import { META_ROW } from "../../actors/fold/keys.ts";
import { newMeta, readMeta } from "../../actors/fold/meta.ts";
import { writeRecord } from "../../actors/fold/reference-entry.ts";
import type { Job } from "../../actors/model/job.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { TidemarkError } from "../../runtime/errors.ts";
import { MemoryPartitionLog } from "../../runtime/log/memory-partition-log.ts";
import type { AppendOptions, PartitionLog } from "../../runtime/log/partition-log.ts";
import { primitives } from "../../runtime/primitives.ts";
import { ReferenceCopier } from "../../runtime/reference/reference-copier.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import { identityFor, T0 } from "../support/entries.ts";
import { SleepClock } from "../support/memory-world.ts";
import { scriptedJob } from "../support/scripted.ts";

const numRuns = Number(process.env.PROPERTY_RUNS ?? 300);
/** Far more than any history needs: a copier that never comes to rest is to fail. */
const ROUNDS_MAX = 10_000;

type Fault = "stored, no answer" | "lost" | "lands later" | "full";

/** A partition on bad days: what is appended through it may be stored unheard, late, or not at all. */
class FaultyLog implements PartitionLog {
  readonly inner: MemoryPartitionLog;
  readonly stream: string;
  fault: Fault | undefined;
  readonly #underWay: (() => Promise<unknown>)[] = [];

  constructor(inner: MemoryPartitionLog) {
    this.inner = inner;
    this.stream = inner.stream;
  }

  async append(subject: string, payload: Uint8Array, options?: AppendOptions): Promise<number> {
    const { fault } = this;
    this.fault = undefined;
    if (fault === "full") throw new TidemarkError("LOG_FULL", `${subject}.`);
    if (fault === "lands later") this.#underWay.push(() => this.inner.append(subject, payload, options));
    else if (fault === "stored, no answer") await this.inner.append(subject, payload, options);
    if (fault !== undefined) throw new TidemarkError("PUBLISH_TIMEOUT", `${subject}.`);
    return await this.inner.append(subject, payload, options);
  }

  /** What was under way arrives; a condition that no longer holds refuses it. */
  async land(): Promise<void> {
    await this.#underWay
      .shift()?.()
      .catch(() => {});
  }

  bounds = () => this.inner.bounds();
  firstOn = (subject: string, from: number) => this.inner.firstOn(subject, from);
  lastOn = (subject: string) => this.inner.lastOn(subject);
  read = (from: number) => this.inner.read(from);
}

/** One owner of a shard: its fold, its store, its copier. */
class Owner {
  readonly notices: string[] = [];
  readonly log: FaultyLog;
  readonly #job: Job;
  readonly #source: MemoryPartitionLog;
  readonly #store = new MemoryStore();
  fold: Fold;
  copier: ReferenceCopier;

  constructor(job: Job, log: MemoryPartitionLog, source: MemoryPartitionLog) {
    this.log = new FaultyLog(log);
    this.#job = job;
    this.#source = source;
    this.fold = this.#newFold();
    this.copier = this.#newCopier();
  }

  advance(entries: number): void {
    for (let left = entries; left > 0; left--) {
      const entry = this.log.inner.entryAt(this.fold.meta.cursor.sequence);
      if (entry === undefined) return;
      this.fold.open(entry);
      while (this.fold.unit());
    }
  }

  commit(): void {
    this.#store.commit(this.fold.seal().changes, () => this.fold.committed());
  }

  crash(): void {
    this.fold = this.#newFold();
    this.copier = this.#newCopier();
  }

  /** As `run` does, without its waiting. */
  async step(): Promise<string> {
    try {
      return await this.copier.step();
    } catch (error) {
      assert(error instanceof TidemarkError && ["PUBLISH_TIMEOUT", "LOG_FULL"].includes(error.code), String(error));
      return "failed";
    }
  }

  #newFold(): Fold {
    const identity = identityFor(this.#job);
    const row = this.#store.get(META_ROW);
    return new Fold({
      job: this.#job,
      partition: 0,
      partitions: 1,
      committed: this.#store,
      meta: row === undefined ? newMeta({ ...identity, sequence: 0 }, 0, 1) : readMeta(row)!,
      primitives,
      guard: { enter() {}, leave() {} },
      identity,
      skips: new Map(),
    });
  }

  #newCopier(): ReferenceCopier {
    return new ReferenceCopier({
      logName: "script",
      partition: 0,
      log: this.log,
      source: this.#source,
      clock: new SleepClock(),
      notice: (message) => this.notices.push(message),
      folded: () => ({ next: this.fold.meta.cursor.sequence, source: this.fold.meta.referenceSource }),
    });
  }
}

function newWorld() {
  const log = new MemoryPartitionLog({ stream: "script-0" });
  const source = new MemoryPartitionLog({ stream: "script-reference" });
  const job = scriptedJob();
  const owners = [new Owner(job, log, source), new Owner({ ...job, name: "other" }, log, source)] as const;
  let version = 0;
  const put = async (table = "rates", token = "x") => {
    const text = writeRecord("x", ++version, formatInstant(T0 + version), { rate: version });
    await source.append(`script-reference.${table}.${token}`, Buffer.from(text));
  };
  const settle = async () => {
    for (let rounds = 0; ; rounds++) {
      assert(rounds < ROUNDS_MAX, "the copiers do not come to rest");
      const end = log.lastSequence;
      const results = [await owners[0].step(), await owners[1].step()];
      for (const owner of owners) owner.advance(7);
      const done = owners.every(({ fold }) => fold.meta.cursor.sequence > log.lastSequence);
      if (end === log.lastSequence && done && results.every((result) => result === "idle")) return;
    }
  };
  /** Source sequences as they stand in the partition, in order. */
  const copies = () => {
    const sources: number[] = [];
    for (let at = 1; at <= log.lastSequence; at++) sources.push(Number(log.entryAt(at)!.headers?.get("tidemark-source") ?? 0));
    return sources;
  };
  return { log, source, owners, put, settle, copies };
}

const anAct = fc.oneof(
  { weight: 3, arbitrary: fc.record({ act: fc.constant("put" as const), table: fc.constantFrom("rates", "rates", "others", "Bad") }) },
  { weight: 8, arbitrary: fc.record({ act: fc.constant("copy" as const), owner: fc.constantFrom(0, 1) }) },
  {
    weight: 6,
    arbitrary: fc.record({ act: fc.constant("fold" as const), owner: fc.constantFrom(0, 1), entries: fc.constantFrom(1, 3, 20) }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom("crash", "commit", "land" as const), owner: fc.constantFrom(0, 1) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant("fault" as const),
      owner: fc.constantFrom(0, 1),
      fault: fc.constantFrom<Fault>("stored, no answer", "lost", "lands later", "full"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom("event", "foreign copy") }) },
);

/** Those go to quarantine too. */
function events(acts: readonly { readonly act: string }[]): number {
  return acts.filter(({ act }) => act === "event").length;
}

suite("two owners that copy into one partition", () => {
  test("bring every record to both folds once and in order, whatever happens to either", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anAct, { maxLength: 150, size: "max" }), async (acts) => {
        const { log, source, owners, put, settle } = newWorld();
        for (const act of acts) {
          if (act.act === "put") await put(act.table);
          else if (act.act === "event") await log.append("script.1.e.nobody", Buffer.from("{}"));
          else if (act.act === "foreign copy") await log.append("script.p0.r.rates", Buffer.from("{}"));
          else if ("owner" in act) {
            const owner = owners[act.owner as 0 | 1];
            if (act.act === "copy") await owner.step();
            else if (act.act === "fold") owner.advance(act.entries);
            else if (act.act === "fault") owner.log.fault = act.fault;
            else if (act.act === "commit") owner.commit();
            else if (act.act === "land") await owner.log.land();
            else owner.crash();
          }
        }
        for (const { log: faulty } of owners) for (let left = acts.length; left > 0; left--) await faulty.land();
        for (const owner of owners) owner.log.fault = undefined;
        await settle();
        for (const { fold } of owners) assert.equal(fold.meta.referenceSource, source.lastSequence);
        // Each once: a record of no table is refused, and nothing else is but what no copier wrote.
        const refused = acts.filter((act) => act.act === "foreign copy" || (act.act === "put" && act.table === "Bad")).length;
        for (const { fold } of owners) assert.equal(fold.meta.counts.quarantined - events(acts), refused);
      }),
      { numRuns },
    );
  });

  test("copy each record once between them as long as nothing fails", async () => {
    const { put, settle, copies } = newWorld();
    for (let i = 0; i < 50; i++) await put(i % 3 === 0 ? "others" : "rates");
    await settle();
    assert.deepEqual(
      copies(),
      Array.from({ length: 50 }, (_, i) => i + 1),
    );
  });
});

suite("a copier", () => {
  test("that starts far behind in its log goes on behind the last copy, and asks its fold only later", async () => {
    const { put, settle, copies, owners } = newWorld();
    for (let i = 0; i < 5; i++) await put();
    await settle();
    owners[0].crash();
    await put();
    assert.equal(owners[0].fold.meta.cursor.sequence, 1);
    assert.equal(await owners[0].step(), "progress");
    assert.deepEqual(copies(), [1, 2, 3, 4, 5, 6]);
  });

  test("copies again what the fold did not take: a copy behind a gap", async () => {
    const { log, put, settle, copies, owners } = newWorld();
    for (let i = 0; i < 3; i++) await put();
    const link = (source: number, previous: number) => ({
      headers: new Map([
        ["tidemark-source", String(source)],
        ["tidemark-previous", String(previous)],
      ]),
    });
    // As of an owner for whom record 1 was erased before it read it, beside one who copied it.
    await log.append("script.p0.r.rates", Buffer.from("{}"), link(2, 1));
    await settle();
    assert.equal(owners[0].fold.meta.referenceSource, 3);
    assert.deepEqual(copies().slice(-3), [1, 2, 3]);
  });

  test("leaves out what was erased from the source", async () => {
    const { source, put, settle, copies } = newWorld();
    for (let i = 0; i < 4; i++) await put();
    source.trim(2);
    await settle();
    assert.deepEqual(copies(), [3, 4]);
  });

  test("refuses a source that ends before what was copied from it", async () => {
    const { source, put, settle, owners } = newWorld();
    for (let i = 0; i < 4; i++) await put();
    await settle();
    source.truncate(2);
    owners[0].crash();
    await assert.rejects(owners[0].copier.step(), /REFERENCE_DIVERGED: script-reference ends at 2, and 4 was copied/);
  });

  test("stands still while its fold is a thousand copies behind", async () => {
    const { put, copies, owners } = newWorld();
    for (let i = 0; i < 1_005; i++) await put();
    for (let i = 0; i < 1_000; i++) assert.equal(await owners[0].step(), "progress");
    assert.equal(await owners[0].step(), "waiting");
    assert.equal(copies().length, 1_000);
    owners[0].advance(1_000);
    assert.equal(await owners[0].step(), "progress");
  });

  test("cuts a record that no log takes, so that the fold refuses it and the order goes on", async () => {
    const { source, put, settle, owners } = newWorld();
    await source.append("script-reference.rates.x", Buffer.alloc(900_000, 120));
    await put();
    await settle();
    assert.equal(owners[0].fold.meta.referenceSource, 2);
    assert.equal(owners[0].fold.meta.counts.quarantined, 1);
  });

  test("that runs says what is in its way, and ends when it is asked to", async () => {
    const { put, owners, copies } = newWorld();
    await put();
    const [owner] = owners;
    owner.log.fault = "full";
    const running = owner.copier.run();
    while (copies().length === 0) await new Promise((resolve) => setImmediate(resolve));
    owner.copier.stop();
    await running;
    assert.match(owner.notices.join(), /script\/0: reference data waits to be copied: LOG_FULL/);
  });
});
