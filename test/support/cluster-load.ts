/**
 * Payments that are published to the ledger's log at a steady rate until told to end, and a plain account of them: what the log, the
 * outputs and the features have to be, whatever was done to nodes and servers meanwhile.
 */
import assert from "node:assert/strict";
import type { NatsConnection } from "@nats-io/transport-node";
import { DAY_MS, SECOND_MS } from "../../actors/model/time.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { type CloudEvent, type LogPublisher, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { eventSubject, readSlotMap, type SlotMap } from "../../runtime/log/slot-map.ts";
import { storedHistory, storedOutputs } from "../../runtime/replay/stored-history.ts";
import { PARTITIONS, pause, seeded } from "./crash-run.ts";
import { cloudEvent, readOutputs, T0 } from "./entries.ts";
import ledgerApp from "./ledger-app.ts";
import { natsResults } from "./result-places.ts";

export const APP = new URL("./ledger-app.ts", import.meta.url).pathname;
export const JOBS = ledgerApp;
export const LOG = "ledger";
export const LEDGER_END_MS = T0 + 39 * DAY_MS;

const ACCOUNTS = 40;
const WAVE = 40;
/** Of a hundred payments so many are published twice: they count once. */
const TWICE = 3;
const FEATURE_TRIES = 300;
const FEATURE_POLL_MS = 100;

/** What a publisher may say of a log whose servers have no majority: one that knows says so, another is silent. */
const AWAY = ["PUBLISH_TIMEOUT", "NATS_UNREACHABLE", "LOG_MISSING"] as const;

interface Payment {
  readonly key: string;
  readonly cents: number;
  readonly event: CloudEvent;
}

interface Sum {
  readonly n: number;
  readonly cents: number;
}

export interface LoadOptions {
  readonly seed: number;
  readonly eventsPerSecond: number;
}

export class ClusterLoad {
  readonly #nc: NatsConnection;
  readonly #map: SlotMap;
  readonly #publisher: LogPublisher;
  readonly #run: Promise<void>;
  /** Acknowledged, in their order. */
  readonly #sent: Payment[] = [];
  #over = false;

  private constructor(nc: NatsConnection, map: SlotMap, options: LoadOptions) {
    this.#nc = nc;
    this.#map = map;
    // The log may be away for longer than a publisher waits by itself.
    this.#publisher = openLogPublisher(nc, LOG, map, { tries: 1_000, ackTimeoutMs: 1_000 });
    this.#run = this.#publish(options);
    this.#run.catch(() => {});
  }

  static async start(nc: NatsConnection, options: LoadOptions): Promise<ClusterLoad> {
    return new ClusterLoad(nc, (await readSlotMap(nc, LOG))!, options);
  }

  /** Published and acknowledged so far. */
  get events(): number {
    return this.#sent.length;
  }

  /** Resolves when all that was published is acknowledged; rejects when something was refused. */
  async end(): Promise<void> {
    this.#over = true;
    await this.#run;
    this.#publisher.close();
  }

  /** A publisher that does not wait for long is told that nothing is stored, with a code. */
  async assertRefused(): Promise<void> {
    const impatient = openLogPublisher(this.#nc, LOG, this.#map, { tries: 2, ackTimeoutMs: 500 });
    // One that the log has: stored after all, it changes nothing.
    const { key, event } = this.#sent.at(-1)!;
    try {
      await assert.rejects(impatient.publish(key, event), (error) => AWAY.some((code) => isTidemarkError(error, code)));
    } finally {
      impatient.close();
    }
  }

  /**
   * The log has each payment that was acknowledged, those of an account in the order in which they were published. What it has once
   * more, because an acknowledgement was lost, stands behind the first. Gives how many those are.
   */
  async assertStored(): Promise<number> {
    const published = byKey(this.#sent.map(({ key, event }) => [eventSubject(LOG, key), event.id]));
    const stored = byKey(await this.#storedEvents());
    assert.deepEqual([...stored.keys()].sort(), [...published.keys()].sort());
    let again = 0;
    for (const [subject, ids] of published) {
      const found = stored.get(subject)!;
      assert.deepEqual([...new Set(found)], [...new Set(ids)], subject);
      again += found.length - ids.length;
    }
    return again;
  }

  /** Each account's outputs are its sums behind each of its payments, in their order, each once. Gives how many they are. */
  async assertAccountsAgree(): Promise<number> {
    const sums = this.#sums();
    let count = 0;
    for (const { name } of JOBS) {
      const outputs: (readonly [string, unknown])[] = [];
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const stored = readOutputs(await storedOutputs(this.#nc, name, partition));
        outputs.push(...stored.map(({ subject, data }) => [subject!, data] as const));
      }
      const found = byKey(outputs);
      assert.deepEqual([...found.keys()].sort(), [...sums.keys()].sort());
      for (const [key, of] of sums) assert.deepEqual(found.get(key), name === "watch" ? of.map(({ n }) => ({ n })) : of, `${name} ${key}`);
      count += outputs.length;
    }
    return count;
  }

  /** `read`: the newest value of an account's feature. A sink may still be on its way. */
  async untilFeaturesAgree(read: (key: string) => Promise<unknown>): Promise<number> {
    const sums = this.#sums();
    for (const [key, of] of sums) {
      const newest = of.at(-1)!;
      for (let tries = 1; ; tries++) {
        const value = await read(key);
        if (JSON.stringify(value) === JSON.stringify(newest)) break;
        if (tries === FEATURE_TRIES) assert.deepEqual(value, newest, key);
        await pause(FEATURE_POLL_MS);
      }
    }
    return sums.size;
  }

  #sums(): Map<string, Sum[]> {
    const counted = new Set<string>();
    const sums = new Map<string, Sum[]>();
    for (const { key, cents, event } of this.#sent) {
      if (counted.has(event.id)) continue;
      counted.add(event.id);
      const of = sums.get(key) ?? [];
      sums.set(key, of);
      of.push({ n: of.length + 1, cents: (of.at(-1)?.cents ?? 0) + cents });
    }
    return sums;
  }

  async #publish({ seed, eventsPerSecond }: LoadOptions): Promise<void> {
    const random = seeded(seed);
    for (let n = 0; !this.#over; ) {
      const wave: Payment[] = [];
      while (wave.length < WAVE) {
        const payment = paymentOf(n++, random);
        wave.push(payment);
        if (random() * 100 < TWICE) wave.push(payment);
      }
      await Promise.all(wave.map(({ key, event }) => this.#publisher.publish(key, event)));
      this.#sent.push(...wave);
      await pause((WAVE / eventsPerSecond) * 1_000);
    }
  }

  async #storedEvents(): Promise<(readonly [string, string])[]> {
    const events: (readonly [string, string])[] = [];
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const { entries } = await storedHistory(this.#nc, JOBS[0]!, partition, PARTITIONS, natsResults(this.#nc));
      for (const { subject, payload } of entries)
        if (subject.split(".")[2] === "e") events.push(...idsOf(payload).map((id) => [subject, id] as const));
    }
    return events;
  }
}

function paymentOf(n: number, random: () => number): Payment {
  const key = `account-${Math.floor(random() * ACCOUNTS)}`;
  const cents = Math.floor(random() * 1_000);
  const event = cloudEvent({ id: `e${n}`, source: "/ledger", type: "ledger.paid", key, time: T0 + n * SECOND_MS, data: { cents } });
  return { key, cents, event: event as unknown as CloudEvent };
}

/** Events of a key that wait for each other may travel as one message. */
function idsOf(payload: Uint8Array): readonly string[] {
  const events = [JSON.parse(Buffer.from(payload).toString())].flat() as readonly { readonly id: string }[];
  return events.map(({ id }) => id);
}

function byKey<T>(items: readonly (readonly [string, T])[]): Map<string, T[]> {
  const keys = new Map<string, T[]>();
  for (const [key, item] of items) {
    const of = keys.get(key);
    if (of === undefined) keys.set(key, [item]);
    else of.push(item);
  }
  return keys;
}
