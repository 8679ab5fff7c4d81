/** The feed against a plain set: whatever is asked for, undone, closed and taken, each waiting call is handed out once. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { CallRecord } from "../../actors/fold/call-row.ts";
import type { WaitingCalls } from "../../actors/fold/call-table.ts";
import { callRow } from "../../actors/fold/keys.ts";
import { FRESH_MAX } from "../../runtime/effects/bounds.ts";
import { CallFeed } from "../../runtime/effects/call-feed.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 150);

function callAt(sequence: number, n: number): CallRecord {
  const address = { sequence, index: 0, n };
  const texts = {
    token: "k",
    actor: "a",
    effect: "e",
    target: `http GET http://h${n % 3}/`,
    input: "x".repeat(n % 7),
    hash: "",
    cause: "",
  };
  return { address, ...texts, now: 0, deadline: 0 };
}

/** The rows as a fold has them, and what was taken of them. */
class Fold {
  readonly feed = new CallFeed();
  readonly rows = new Map<string, CallRecord>();
  readonly taken = new Set<string>();
  #sequence = 0;

  /** A handler that asks for so many; with `fails` it leaves nothing, and the next one has the same addresses. */
  ask(count: number, fails: boolean): void {
    const asked = Array.from({ length: count }, (_, i) => callAt(this.#sequence + 1, i + 1));
    for (const call of asked) this.#set(call, true);
    if (fails) for (const call of asked.reverse()) this.#set(call, false);
    else this.#sequence++;
  }

  /** Closes one of those that wait. */
  close(which: number): void {
    const rows = [...this.rows.values()];
    if (rows.length > 0) this.#set(rows[which % rows.length]!, false);
  }

  take(count: number, mayBegin: (call: CallRecord) => boolean = () => true): void {
    for (const row of this.feed.takeClosed()) this.taken.delete(row);
    for (let i = 0; i < count; i++) {
      const fresh = this.feed.take(
        mayBegin,
        (row) => this.taken.has(row),
        (from, limit) => this.#read(from, limit),
      );
      if (fresh === undefined) return;
      assert(this.rows.has(fresh.row) && mayBegin(fresh.call), "what was handed out waits");
      assert(!this.taken.has(fresh.row), "and was not handed out before");
      this.taken.add(fresh.row);
    }
  }

  #read(from: string, limit: number): WaitingCalls {
    const behind = [...this.rows].filter(([row]) => row >= from).sort(([a], [b]) => (a < b ? -1 : 1));
    const calls = behind.slice(0, limit).map(([row, call]) => ({ row, call }));
    return { calls, next: behind[limit]?.[0] };
  }

  #set(call: CallRecord, waits: boolean): void {
    const row = callRow(call.address);
    if (waits) {
      this.rows.set(row, call);
      this.feed.asked(row, call);
    } else {
      this.rows.delete(row);
      this.feed.closed(row);
    }
  }
}

suite("calls that wait", () => {
  const aStep = fc.oneof(
    fc.record({ ask: fc.constantFrom(1, 3, 700, FRESH_MAX), fails: fc.constantFrom(false, false, true) }),
    fc.record({ close: fc.nat(5_000) }),
    fc.record({ take: fc.constantFrom(1, 50, 900, 5_000), origin: fc.constantFrom(undefined, "http://h0/", "http://h1/") }),
    fc.record({ rewind: fc.constant(true) }),
  );

  test("are each handed out once, whatever is undone, closed and looked at again meanwhile", () => {
    fc.assert(
      fc.property(fc.array(aStep, { maxLength: 25 }), (steps) => {
        const fold = new Fold();
        for (const step of steps) {
          if ("ask" in step) fold.ask(step.ask, step.fails);
          else if ("close" in step) fold.close(step.close);
          else if ("rewind" in step) fold.feed.rewind();
          else fold.take(step.take, ({ target }) => step.origin === undefined || target.endsWith(step.origin));
        }
        fold.take(Number.POSITIVE_INFINITY);
        assert.deepEqual([...fold.taken].sort(), [...fold.rows.keys()].sort());
        assert(fold.feed.empty);
      }),
      { numRuns: RUNS },
    );
  });

  test("are handed out when a handler before them had asked for more than memory holds, and failed", () => {
    const fold = new Fold();
    fold.take(1);
    fold.ask(700, false);
    fold.ask(700, true);
    fold.ask(3, false);
    fold.take(Number.POSITIVE_INFINITY);
    assert.equal(fold.taken.size, 703);
  });

  test("are handed out in the order in which they were asked for", () => {
    const fold = new Fold();
    for (let i = 0; i < 5; i++) fold.ask(FRESH_MAX, false);
    fold.take(Number.POSITIVE_INFINITY);
    assert.deepEqual([...fold.taken], [...fold.rows.keys()]);
  });
});
