/**
 * What readers of the API cost the data plane: a node drains a full log while, by turns, nobody reads and 50 readers
 * ask as fast as they are answered. By turns, for a machine is never as fast in one minute as in the next.
 *
 * The readers run on the same cores, so their own work counts against the node. Not measured: publishing, a network.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { findNatsServer } from "../runtime/node/nats-binary.ts";
import { startNatsServer } from "../runtime/node/nats-server.ts";
import { NodeProcess } from "../test/support/node-process.ts";
import type { ReaderCounts } from "./reader-load.ts";
import type { Row } from "./table.ts";
import { fill } from "./whole-node.ts";

export interface ApiReadersOptions {
  readonly name: string;
  readonly events: number;
  readonly keys: number;
  readonly readers: number;
  readonly workers: number;
}

interface Turn {
  readonly reading: boolean;
  readonly events: number;
  readonly seconds: number;
  readonly counts: ReaderCounts;
}

/** Left out of the figures: code is compiled while it runs. */
const WARM_UP_MS = 2_000;
const TURN_MS = 2_000;
/** Of each turn's begin: until connections are open and the share of reads has found its size. */
const SETTLE_MS = 500;
const NOBODY: ReaderCounts = { answered: 0, shed: 0, failed: 0 };

export async function apiReaders(options: ApiReadersOptions): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const server = await startNatsServer({ binary: findNatsServer().binary, storeDir: join(folder, "nats"), logs: ["bench"] });
  const nc = await connect({ servers: server.url });
  try {
    await fill(nc, { events: options.events, keys: options.keys, batch: 1 });
    const node = new NodeProcess({
      app: new URL("./apps/one-in-100.ts", import.meta.url).pathname,
      natsUrl: server.url,
      dataDir: join(folder, "data"),
      env: { TIDEMARK_PARTITIONS: "4", TIDEMARK_WORKERS: String(options.workers) },
    });
    try {
      return rowsOf(options, await takeTurns(await node.ready, options));
    } finally {
      await node.kill();
    }
  } finally {
    await nc.close();
    await server.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Until the log is drained; the last turn is cut short and not counted. */
async function takeTurns(url: string, { events, readers }: ApiReadersOptions): Promise<Turn[]> {
  const load = fork(new URL("./reader-load.ts", import.meta.url).pathname, [url, String(readers)]);
  const turns: Turn[] = [];
  await pause(WARM_UP_MS);
  for (let reading = false; ; reading = !reading) {
    if (reading) load.send("start");
    await pause(SETTLE_MS);
    const from = performance.now();
    const before = await eventsIn(url);
    await pause(TURN_MS);
    const seconds = (performance.now() - from) / 1000;
    const after = await eventsIn(url);
    let counts = NOBODY;
    if (reading) {
      load.send("stop");
      [counts] = (await once(load, "message")) as [ReaderCounts];
    }
    if (after >= events) break;
    turns.push({ reading, events: after - before, seconds, counts });
  }
  load.disconnect();
  return turns;
}

function rowsOf({ name, readers }: ApiReadersOptions, turns: readonly Turn[]): Row[] {
  return [false, true].map((reading) => {
    const own = turns.filter((turn) => turn.reading === reading);
    const sum = (read: (turn: Turn) => number) => own.reduce((total, turn) => total + read(turn), 0);
    const seconds = sum((turn) => turn.seconds);
    // Readers are counted from the turn's begin.
    const readingSeconds = seconds + (own.length * SETTLE_MS) / 1000;
    return {
      benchmark: `${name}, ${reading ? `${readers} readers` : "nobody reads"}`,
      turns: own.length,
      "events/s": Math.round(sum((turn) => turn.events) / seconds),
      "reads/s": Math.round(sum(({ counts }) => counts.answered) / readingSeconds),
      "429/s": Math.round(sum(({ counts }) => counts.shed) / readingSeconds),
      failed: sum(({ counts }) => counts.failed),
    };
  });
}

/** From the metrics: they are answered when other reads are shed. */
async function eventsIn(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  let events = 0;
  for (const [, value] of text.matchAll(/^tidemark_events_in_total\{.*\} (\d+)$/gm)) events += Number(value);
  return events;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
