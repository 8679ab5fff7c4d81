/** Budgets of keys, tenants and models together, over random days, against a count that knows records and times alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { allotmentOf, type BudgetRecord } from "../../actors/fold/activated-budgets.ts";
import { slotOf } from "../../actors/model/key.ts";
import { formatInstant, HOUR_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { type JobTest, testJob } from "../../runtime/testing/testing.ts";
import { ASKS, type AskName, writer, writers } from "../support/budgeted.ts";

const START = Date.parse("2026-01-01T00:10:00Z");
const PER_MS: Readonly<Record<string, number>> = { "30m": 30 * MINUTE_MS, "1h": HOUR_MS, "1d": 24 * HOUR_MS };

interface Ask {
  readonly ask: AskName;
  readonly key: string;
  readonly times: number;
  readonly fails: boolean;
}
interface Answer {
  readonly answer: number;
  /** Of the least that it has reserved anywhere: so no call costs more than it said. */
  readonly part: number | "fails";
}
interface Put {
  readonly put: "model:text" | "model:sight" | "tenant:retail";
  readonly record: BudgetRecord;
  /** Milliseconds until it begins. */
  readonly in: number;
  readonly shared: boolean;
}
type Step = Ask | Answer | Put | { readonly wait: number };

const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      ask: fc.constantFrom<AskName>("chat", "mail", "look"),
      key: fc.constantFrom("a", "b", "c", "d"),
      times: fc.constantFrom(1, 1, 2, 5),
      fails: fc.constantFrom(false, false, false, true),
    }),
  },
  { weight: 2, arbitrary: fc.record({ wait: fc.constantFrom(1, 10 * MINUTE_MS, 25 * MINUTE_MS, HOUR_MS) }) },
  { weight: 4, arbitrary: fc.record({ answer: fc.nat(9), part: fc.oneof(fc.constantFrom(0, 0.25, 1), fc.constant("fails" as const)) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      put: fc.constantFrom("model:text" as const, "model:sight" as const, "tenant:retail" as const),
      record: fc.record({
        units: fc.integer({ min: 18, max: 60 }),
        per: fc.constantFrom("30m", "1h", "1d"),
        reserve: fc.constantFrom(2, 5),
      }),
      in: fc.constantFrom(1, 5 * MINUTE_MS, 20 * MINUTE_MS),
      shared: fc.boolean(),
    }),
  },
);

/** A budget in one shard, in the window that a time is in. */
interface Open {
  readonly who: string;
  readonly window: string;
  /** Of the window in this shard. */
  readonly name: string;
  readonly units: number;
  readonly takes: number;
}

interface Spent {
  used: number;
  reserved: number;
}

class Count {
  readonly #partitions: number;
  readonly #records = new Map<string, { readonly from: number; readonly data: BudgetRecord }[]>();
  readonly #spent = new Map<string, Spent>();
  /** Units of each window of all shards together. */
  readonly #windows = new Map<string, number>();

  constructor(partitions: number) {
    this.#partitions = partitions;
  }

  /** Gives version and beginning of the record. */
  put(
    { put, record, in: inMs, shared }: Put,
    now: number,
  ): { readonly data: BudgetRecord; readonly version: number; readonly from: number } {
    const list = this.#records.get(put) ?? [];
    const from = Math.max(now, list.at(-1)?.from ?? 0) + inMs;
    // Uneven, and not all of it.
    const shares = { "writers/0": Math.floor(record.units / 2), [`writers/${this.#partitions - 1}`]: Math.floor(record.units / 3) };
    const data = shared ? { ...record, shares } : record;
    this.#records.set(put, [...list, { from, data }]);
    return { data, version: list.length + 1, from };
  }

  open(ask: AskName, key: string, now: number): readonly Open[] {
    const { model, tenant, reserve, key: own } = ASKS[ask];
    const partition = slotOf(key) % this.#partitions;
    const shared = [...(tenant === undefined ? [] : [`tenant:${tenant}`]), `model:${model}`].flatMap((id) => {
      const record = this.#records.get(id)?.findLast(({ from }) => from <= now);
      if (record === undefined) return [];
      const { from, data } = record;
      const window = `${id} from ${from} number ${Math.floor(now / PER_MS[data.per]!)}`;
      this.#windows.set(window, data.units);
      const units = allotmentOf(data, "writers", { partition, partitions: this.#partitions });
      return [{ who: id.split(":")[0]!, window, name: `${window} / ${partition}`, units, takes: reserve ?? data.reserve }];
    });
    if (own === undefined) return shared;
    const window = `key ${key} number ${Math.floor(now / own.perMs)}`;
    return [{ who: "key", window, name: window, units: own.units, takes: reserve! }, ...shared];
  }

  left(ask: AskName, key: string, now: number): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.open(ask, key, now).map((open) => this.#leftOf(open)));
  }

  /** Whose budget has no room for one more; without such it is taken. */
  ask(open: readonly Open[]): string | undefined {
    const full = open.find((one) => this.#leftOf(one) < one.takes);
    if (full === undefined) for (const { name, takes } of open) this.#of(name).reserved += takes;
    return full?.who;
  }

  settle(taken: readonly Open[], cost: number, now: readonly Open[]): void {
    for (const { name, takes } of taken) {
      if (!now.some((other) => other.name === name)) continue;
      this.#of(name).reserved -= takes;
      this.#of(name).used += cost;
    }
  }

  assertSums(): void {
    for (const [window, units] of this.#windows) {
      const all = [...this.#spent].filter(([name]) => name.startsWith(`${window} / `));
      const sum = all.reduce((before, [, { used, reserved }]) => before + used + reserved, 0);
      assert.ok(sum <= units, `${window}: ${sum} of ${units}`);
    }
  }

  #leftOf({ name, units }: Open): number {
    return Math.max(0, units - this.#of(name).used - this.#of(name).reserved);
  }

  #of(name: string): Spent {
    const spent = this.#spent.get(name) ?? { used: 0, reserved: 0 };
    this.#spent.set(name, spent);
    return spent;
  }
}

/** The kit and the count, going the same way. */
class Play {
  readonly #kit: JobTest<typeof writers>;
  readonly #count: Count;
  #now = START;
  #waiting: { readonly n: number; readonly ask: AskName; readonly key: string; readonly taken: readonly Open[] }[] = [];

  constructor(kit: JobTest<typeof writers>, partitions: number) {
    this.#kit = kit;
    this.#count = new Count(partitions);
  }

  async step(step: Step, n: number): Promise<void> {
    if ("ask" in step) await this.#ask(step, n);
    else if ("answer" in step) await this.#answer(step);
    else if ("put" in step) {
      const { data, version, from } = this.#count.put(step, this.#now);
      await this.#kit.putReference("_budgets", step.put, { version, effectiveFrom: formatInstant(from), data });
    } else {
      this.#now += step.wait;
      await this.#kit.advanceClock(step.wait);
    }
    this.#count.assertSums();
  }

  async #ask({ ask, key, times, fails }: Ask, n: number): Promise<void> {
    const open = this.#count.open(ask, key, this.#now);
    let asked = 0;
    let full: string | undefined;
    while (asked < times && full === undefined) {
      full = this.#count.ask(open);
      if (full === undefined) asked++;
    }
    for (let i = 0; i < asked; i++) {
      if (fails) this.#count.settle(open, 0, open);
      else this.#waiting.push({ n, ask, key, taken: open });
    }
    await this.#kit.send("asked", key, { n, by: ask, times, fails });
    const what = full === undefined ? "asked" : `BUDGET_EXCEEDED ${full}`;
    this.#assertTold(fails ? [] : [`${what} ${this.#count.left(ask, key, this.#now)}`]);
  }

  async #answer({ answer, part }: Answer): Promise<void> {
    const call = this.#waiting[answer];
    if (call === undefined) return;
    this.#waiting = this.#waiting.filter((other) => other !== call);
    const { n, ask, key, taken } = call;
    const least = Math.min(...taken.map(({ takes }) => takes), 8);
    const cost = part === "fails" ? 0 : part * least;
    this.#count.settle(taken, cost, this.#count.open(ask, key, this.#now));
    const asked = this.#kit.calls(writer).find(({ input }) => input.n === n)!;
    if (part === "fails") await this.#kit.fail(asked, { code: "DOWN", message: "no" });
    else await this.#kit.reply(asked, { n }, { units: cost });
    this.#assertTold([`${part === "fails" ? "failed" : "done"} ${this.#count.left(ask, key, this.#now)}`]);
  }

  #assertTold(expected: readonly string[]): void {
    assert.deepEqual(
      this.#kit.takeOutputs("told").map(({ data: { what, left } }) => `${what} ${left}`),
      expected,
    );
  }
}

test("whatever is asked and answered, each shard has what a count of its windows leaves, and all together take no more than the units", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(aStep, { maxLength: 40, size: "max" }),
      fc.constantFrom(1, 2, 3),
      fc.boolean(),
      async (steps, partitions, crashBetweenEvents) => {
        const kit = await testJob(writers, { start: START, onFailure: "dead-letter", partitions, crashBetweenEvents });
        const data = { champion: { version: 1, sha256: "a".repeat(64) } };
        for (const model of ["text", "sight"])
          await kit.putReference("_models", model, { version: 1, effectiveFrom: "0000-01-01T00:00:00Z", data });
        const play = new Play(kit, partitions);
        for (const [n, step] of steps.entries()) await play.step(step, n);
        await kit.verifyReplay();
        await kit.close();
      },
    ),
    { numRuns: Number(process.env.PROPERTY_RUNS ?? 60) },
  );
});
