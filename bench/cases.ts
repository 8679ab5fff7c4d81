/**
 * The cases job at its extremes, folded in this process into LMDB: one case with very many events, very many open cases with
 * a clock each, and all of their clocks due at once. Not measured: the broker, reading, publishing outputs, other threads.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import cases from "../actors/cases/cases.ts";
import type { LogEntry } from "../actors/fold/entry.ts";
import { Fold } from "../actors/fold/fold.ts";
import { writeWatermark } from "../actors/fold/journal.ts";
import { newMeta } from "../actors/fold/meta.ts";
import { writeLink } from "../actors/fold/reference-entry.ts";
import { slotOf } from "../actors/model/key.ts";
import { DAY_MS, formatInstant, MINUTE_MS, SECOND_MS } from "../actors/model/time.ts";
import { SAMPLES } from "../actors/samples.ts";
import { identityOf } from "../runtime/app.ts";
import { primitives } from "../runtime/primitives.ts";
import { openLmdbStore } from "../runtime/store/lmdb-store.ts";
import { committed, type ShardStore } from "../runtime/store/shard-store.ts";
import type { Row } from "./table.ts";

/** As a shard seals its groups. */
const GROUP_ROWS = 50_000;
const MIB = 1024 * 1024;
const START = Date.UTC(2026, 0, 5);
/** Ahead of every event, so that none is ahead of the log. */
const LOG_TIME = Date.UTC(2030, 0, 1);

export async function caseExtremes(options: { readonly events: number; readonly cases: number }): Promise<Row[]> {
  return [await oneCase(options.events), ...(await manyCases(options.cases))];
}

async function oneCase(events: number): Promise<Row> {
  return await withFold(async (run) => {
    run.entry("long", opening("long", START));
    const given = await run.measured(events, (i) => {
      const data = { evidenceId: `e${i % 500}` };
      run.entry("long", { id: `long-e${i}`, type: "EvidenceRequested", sequence: i + 2, time: START + (i + 1) * SECOND_MS, data });
    });
    return { benchmark: `one case, ${events} events`, ...given };
  });
}

async function manyCases(count: number): Promise<Row[]> {
  return await withFold(async (run) => {
    const opened = await run.measured(count, (i) => {
      const key = `case-${i}`;
      const time = START + Math.floor((i * 5 * MINUTE_MS) / count);
      const clockStart = formatInstant(START);
      run.entry(key, opening(key, time));
      const data = { slaId: "s", policyId: "incident-resolution", clockStart };
      run.entry(key, { id: `${key}-2`, type: "SlaClockStarted", sequence: 2, time, data });
    });
    const due = await run.measured(1, () => run.watermark(START + 3 * DAY_MS + 1), count);
    return [
      { benchmark: `${count} cases opened, a clock each (2 events a case)`, ...opened },
      { benchmark: `${count} clocks near, then due, by one entry`, ...due },
    ];
  });
}

function opening(key: string, time: number): CaseEvent {
  const data = { category: "it-incident", priority: "normal", riskCategory: "ordinary", jurisdiction: "nl-north" };
  return { id: `${key}-1`, type: "CaseOpened", sequence: 1, time, data };
}

interface CaseEvent {
  readonly id: string;
  readonly type: string;
  readonly sequence: number;
  readonly time: number;
  readonly data: object;
}

interface Run {
  entry(key: string, event: CaseEvent): void;
  watermark(time: number): void;
  /** Does it so many times, with commits in between, and tells what that took; `of` things, by default one each. */
  measured(times: number, step: (i: number) => void, of?: number): Promise<Omit<Row, "benchmark">>;
}

async function withFold<T>(use: (run: Run) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const store = openLmdbStore(join(folder, "shard"));
  try {
    return await use(new CaseRun(store));
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

class CaseRun implements Run {
  readonly #store: ShardStore;
  readonly #fold: Fold;
  readonly #waiting: LogEntry[] = [];
  #sequence = 0;
  #outputs = 0;

  constructor(store: ShardStore) {
    this.#store = store;
    const identity = identityOf(cases, "bench");
    this.#fold = new Fold({
      job: cases,
      partition: 0,
      partitions: 1,
      committed: store,
      meta: newMeta({ ...identity, sequence: 0 }, 0, 1),
      primitives,
      guard: { enter() {}, leave() {} },
      identity,
      skips: new Map(),
    });
    let source = 0;
    for (const { table, file } of SAMPLES.find(({ log }) => log === "cases")!.reference) {
      for (const line of readFileSync(file, "utf8").trimEnd().split("\n"))
        this.#append(`cases.p0.r.${table.name}`, line, writeLink({ source: ++source, previous: source - 1 }));
    }
  }

  entry(key: string, { data, time, ...event }: CaseEvent): void {
    const whole = { specversion: "1.0", source: "/bench", subject: key, time: formatInstant(time), ...event, data };
    this.#append(`cases.${slotOf(key)}.e.${key}`, JSON.stringify(whole));
  }

  watermark(time: number): void {
    this.#append("cases.p0.j._log", writeWatermark(formatInstant(time)));
  }

  async measured(times: number, step: (i: number) => void, of = times): Promise<Omit<Row, "benchmark">> {
    await this.#foldAll();
    const outputs = this.#outputs;
    let rssMax = 0;
    const from = performance.now();
    for (let i = 0; i < times; i++) {
      step(i);
      await this.#foldAll();
      if (i % 1_000 === 0) rssMax = Math.max(rssMax, process.memoryUsage().rss);
    }
    await this.#commit();
    const ms = performance.now() - from;
    rssMax = Math.max(rssMax, process.memoryUsage().rss);
    return {
      "us each": Math.round((ms / of) * 1e4) / 10,
      seconds: Math.round(ms / 100) / 10,
      outputs: this.#outputs - outputs,
      "RSS, MiB": Math.round(rssMax / MIB),
      "store, MiB": Math.round(this.#store.bytes() / MIB),
    };
  }

  #append(subject: string, text: string, headers?: ReadonlyMap<string, string>): void {
    this.#waiting.push({ sequence: ++this.#sequence, logTime: LOG_TIME, subject, headers, payload: Buffer.from(text) });
  }

  async #foldAll(): Promise<void> {
    for (const entry of this.#waiting.splice(0)) {
      this.#fold.open(entry);
      while (this.#fold.unit()) {
        if (this.#fold.changedRows >= GROUP_ROWS) await this.#commit();
      }
    }
    if (this.#fold.changedRows >= GROUP_ROWS) await this.#commit();
  }

  async #commit(): Promise<void> {
    this.#outputs += this.#fold.takeOutputs().length;
    await committed(this.#store, this.#fold.seal().changes);
    this.#fold.committed();
  }
}
