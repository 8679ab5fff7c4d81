/** Cells of every kind through a crash run, with a second job on the log, and dead letters that are put back meanwhile. */
import type { NatsConnection } from "@nats-io/transport-node";
import { type Redriven, writeRedrive } from "../../actors/fold/journal.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import { HOUR_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import type { EventPayload } from "../../runtime/log/log-publisher.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { storedOutputs } from "../../runtime/replay/stored-history.ts";
import cellsApp from "./cells-app.ts";
import { type CrashScenario, PARTITIONS, seeded } from "./crash-run.ts";
import { cloudEvent, type EventText, readOutputs } from "./entries.ts";

const START = Date.UTC(2026, 2, 29);
const KEYS = 30;
const REDRIVES = 8;

interface Line {
  readonly key: string;
  readonly event: EventPayload;
}

const [cells] = cellsApp as [(typeof cellsApp)[number]];

export const CELLS: CrashScenario<Line> = {
  app: new URL("./cells-app.ts", import.meta.url).pathname,
  jobs: cellsApp,
  lines,
  keyOf: ({ key }) => key,
  payloadOf: ({ event }) => event,
  endMs: START + 1_000 * HOUR_MS,
  between: redrive,
};

/** Disorder within ten seconds, duplicates, other jobs' events; the time goes on by some seconds an event. */
function* lines(seed: number, events: number): Generator<Line> {
  const random = seeded(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  for (let i = 0; i < events; i++) {
    const id = `e${random() < 0.03 ? Math.max(0, i - 5) : i}`;
    const key = `k${Math.floor(random() * KEYS)}`;
    const time = START + i * 2_000 - Math.floor(random() * 9_000);
    if (random() < 0.2) {
      yield { key, event: eventOf({ id, type: "watch.seen", key, time, data: { what: pick(["a", "b", "c"]) } }) };
      continue;
    }
    const ops = Array.from({ length: Math.floor(random() * 4) }, () => ({
      cell: pick(["value", "counter", "map", "list", "set"]),
      ttl: random() < 0.5,
      do: pick(["put", "put", "put", "put", "delete", "clear"]),
      at: pick(["a", "b", "c", "", "käse"]),
      number: Math.floor(random() * 9) - 4,
    }));
    const timer = random() < 0.1 ? { timer: time + Math.floor(random() * 5) * MINUTE_MS } : {};
    const data = { ops, fail: random() < 0.02, failWhenEven: random() < 0.05, ...timer };
    yield { key, event: eventOf({ id, type: "cells.run", key, time, data }) };
  }
}

/** The newest dead letters are put back, each twice: it counts once. */
async function redrive(nc: NatsConnection): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const log = new NatsPartitionLog(nc, cells.log, partition);
    const letters = readOutputs(await patiently(() => storedOutputs(nc, cells.name, partition))).filter(
      ({ type }) => type === "tidemark.dead-letter",
    );
    for (const { id, data } of letters.slice(-REDRIVES)) {
      const what: Redriven = { event: JSON.parse(String(data.excerpt)) };
      const text = Buffer.from(writeRedrive(id, String(data.handler), "crash", undefined, what));
      for (let i = 0; i < 2; i++) await patiently(() => log.append(journalSubject(cells.log, partition, cells.name), text));
    }
  }
}

function eventOf(event: EventText): EventPayload {
  return Buffer.from(JSON.stringify(cloudEvent(event)));
}

/** The broker is restarted meanwhile: what it does not answer is asked again. What was stored and asked again is a second redrive. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (tries === 10 || !isTidemarkError(error)) throw error;
    }
  }
}
