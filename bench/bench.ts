/**
 * `npm run bench [-- --full] [-- name…]`: the benchmarks, small by default. Prints tables, writes JSON beside them.
 * Figures of one machine in one run: use the ratios between them. What each does not measure stands in its file.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { apiReaders } from "./api-readers.ts";
import { counterJob } from "./apps/counter.ts";
import { OPERATOR_JOBS } from "./apps/operators.ts";
import { asked } from "./asked.ts";
import { batching } from "./batching.ts";
import { caseExtremes } from "./cases.ts";
import { failover } from "./failover.ts";
import { foldAlone } from "./fold-alone.ts";
import { latency } from "./latency.ts";
import { onePartition } from "./one-partition.ts";
import { proofs } from "./proofs.ts";
import { replays } from "./replays.ts";
import { rolling } from "./rolling.ts";
import { fraudInput, shippedFraudModel, treeInput, treeModel } from "./score-models.ts";
import { scored } from "./scored.ts";
import { severalNodes } from "./several-nodes.ts";
import { largeShard } from "./snapshots.ts";
import { storeAlone } from "./store-alone.ts";
import { formatTable, type Row } from "./table.ts";
import { type DrainOptions, drain } from "./whole-node.ts";

const args = process.argv.slice(2);
const full = args.includes("--full");
const wanted = args.filter((arg) => !arg.startsWith("--"));
const scale = full ? 10 : 1;
const million = full ? 1_000_000 : 100_000;

const benches: Readonly<Record<string, () => Promise<Row[]>>> = {
  fold: async () => [
    foldAlone({ name: "single, 1 % outputs, 10 K keys", events: 100_000 * scale, keys: 10_000, batch: 1 }),
    foldAlone({ name: "batches of 50, 1 % outputs, 10 K keys", events: 100_000 * scale, keys: 10_000, batch: 50 }),
    foldAlone({ name: "single, 100 % outputs, 10 K keys", events: 100_000 * scale, keys: 10_000, batch: 1, job: counterJob(1) }),
    foldAlone({ name: `single, 1 % outputs, ${million} keys cold`, events: million, keys: million, batch: 1 }),
  ],
  operators: async () => {
    const each = Object.entries(OPERATOR_JOBS).map(([name, job]) => ({
      name,
      job,
      events: 100_000 * scale,
      keys: 1_000,
      batch: 1,
      stepMs: 10,
    }));
    // All of them within one window, which is over when they have all come.
    const cold = ["counter", "tumbling 5m"].map((name) => {
      return {
        name: `${name}, ${million} keys`,
        job: OPERATOR_JOBS[name]!,
        events: million * 3,
        keys: million,
        batch: 1,
        stepMs: 200_000 / (million * 3),
      };
    });
    return [...each, ...cold].map(foldAlone);
  },
  store: async () => [
    await storeAlone({ name: "5,000 rows a commit, 10 K keys", keys: 10_000, rowsPerCommit: 5_000, commits: 4 * scale }),
    await storeAlone({ name: `5,000 rows a commit, ${million} keys`, keys: million, rowsPerCommit: 5_000, commits: 4 * scale }),
    await storeAlone({ name: `50,000 rows a commit, ${million} keys`, keys: million, rowsPerCommit: 50_000, commits: scale }),
  ],
  partition: async () => [
    await onePartition({ name: "single, 1 % outputs", events: 100_000 * scale, keys: 10_000, batch: 1, every: 100 }),
    await onePartition({ name: "batches of 50, 1 % outputs", events: 200_000 * scale, keys: 10_000, batch: 50, every: 100 }),
    await onePartition({ name: "single, 100 % outputs", events: 50_000 * scale, keys: 10_000, batch: 1, every: 1 }),
  ],
  node: async () => {
    const rows: Row[] = [];
    const runs: Omit<DrainOptions, "workers">[] = [
      { name: "single, 1 % outputs, 10 K keys", events: 400_000 * (full ? 4 : 1), keys: 10_000, batch: 1, app: "one-in-100" },
      { name: "batches of 50, 1 % outputs, 10 K keys", events: 1_000_000 * (full ? 4 : 1), keys: 10_000, batch: 50, app: "one-in-100" },
      { name: "single, 100 % outputs, 10 K keys", events: 200_000 * (full ? 4 : 1), keys: 10_000, batch: 1, app: "every-event" },
      { name: `single, 1 % outputs, ${million} keys cold`, events: million, keys: million, batch: 1, app: "one-in-100" },
    ];
    for (const run of runs) rows.push(await drain({ ...run, workers: availableParallelism() }));
    return rows;
  },
  replays: async () => {
    const run = { keys: 10_000, partitions: 2 };
    return [
      ...(await replays({ ...run, name: "single, 1 % outputs", events: 400_000 * scale, batch: 1, app: "one-in-100" })),
      ...(await replays({ ...run, name: "batches of 50, 1 % outputs", events: 1_000_000 * scale, batch: 50, app: "one-in-100" })),
      ...(await replays({ ...run, name: "single, 100 % outputs", events: 200_000 * scale, batch: 1, app: "every-event" })),
    ];
  },
  windows: async () => {
    // Three events of each key within one window, which is over when they have all come.
    const run = { events: million * 3, keys: million, batch: 1, stepMs: 200_000 / (million * 3), workers: availableParallelism() };
    return [
      await drain({ ...run, name: `counter, ${million} keys`, app: "one-in-100" }),
      await drain({ ...run, name: `tumbling 5m, ${million} keys`, app: "tumbling-5m" }),
    ];
  },
  latency: async () => [
    await latency({ name: "1,000 events/s, 100 % outputs", app: "every-event", rate: 1_000, seconds: full ? 40 : 10, keys: 10_000 }),
    await latency({ name: "10,000 events/s, 1 % outputs", app: "one-in-100", rate: 10_000, seconds: full ? 40 : 10, keys: 10_000 }),
    await latency({ name: "10,000 events/s, 100 % outputs", app: "every-event", rate: 10_000, seconds: full ? 40 : 10, keys: 10_000 }),
  ],
  inference: async () => {
    const load = { rate: 1_000, seconds: full ? 120 : 20, keys: 10_000 } as const;
    const champion = treeModel(20, 4);
    const challenged = { ...champion, challenged: 0.1 };
    return [
      await asked({ ...load, name: "1,000 events/s, nobody asks", app: "none-scored", model: champion }),
      await asked({ ...load, name: "1,000 events/s, 20 % ask a model of 300 ms", app: "one-in-5-scored", model: { ms: 300 } }),
      await asked({ ...load, name: "1,000 events/s, 20 % ask a small ONNX model", app: "one-in-5-scored", model: champion }),
      await asked({ ...load, name: "… of which 10 % ask a challenger too", app: "one-in-5-scored", model: challenged }),
    ];
  },
  architectures: async () => {
    const load = { rate: 1_000, seconds: full ? 60 : 5, warmUpMs: 2_000, keys: 100 } as const;
    const small = treeModel(20, 4);
    const server = { ms: 50, places: 8 };
    return [
      await asked({ ...load, name: "stateless, small ONNX model", app: "all-scored", model: small }),
      await asked({ ...load, name: "context of 8, asked at every 4th", app: "context-window", model: small }),
      // More than the server has places for, and no more than it answers in some seconds.
      await asked({ ...load, rate: 200, name: "8 places of 50 ms, each event by itself", app: "all-scored", model: server }),
      await asked({ ...load, keys: 4, name: "the same, 16 events or 200 ms", app: "micro-batch", model: { ...server, manyRows: true } }),
      await asked({ ...load, name: "the same, 5 % flagged and 2 % of the rest", app: "tiered", model: server }),
    ];
  },
  scored: async () => {
    const run = { events: full ? 200_000 : 50_000, keys: 10_000, workers: availableParallelism() };
    const { BENCH_PROFILES: profiles } = process.env;
    return [await scored({ ...run, name: "each scored by 20 trees of depth 4", model: treeModel(20, 4), profiles })];
  },
  batching: async () => {
    const rows = full ? 200_000 : 40_000;
    return [
      await batching({ name: "20 trees of depth 4", model: treeModel(20, 4), rows, inputOf: treeInput }),
      await batching({ name: "200 trees of depth 6", model: treeModel(200, 6), rows, inputOf: treeInput }),
      await batching({ name: "the shipped fraud model", model: shippedFraudModel(), rows, inputOf: fraudInput }),
    ];
  },
  snapshots: async () => await largeShard({ rows: full ? 1_000_000 : 100_000 }),
  failover: async () => {
    const load = { rate: 5_000, trials: full ? 30 : 3 } as const;
    return [
      await failover({ ...load, name: "the owner is killed, with standbys", fault: "kill", standbys: true }),
      await failover({ ...load, name: "the owner is killed, without", fault: "kill", standbys: false }),
      await failover({ ...load, name: "the owner is frozen for 6 s, with standbys", fault: "freeze", standbys: true }),
      await failover({ ...load, name: "the owner is told to end, with standbys", fault: "stop", standbys: true }),
    ];
  },
  rolling: async () => {
    const rows: Row[] = [];
    for (const rate of full ? [2_000, 5_000] : [1_000])
      rows.push(await rolling({ name: `three nodes, a new build, ${rate} events/s`, rate, upgrades: full ? 5 : 1 }));
    return rows;
  },
  cluster: async () => {
    const rows: Row[] = [];
    for (const app of ["one-in-100", "every-event"] as const) {
      const outputs = app === "every-event" ? "100 % outputs" : "1 % outputs";
      const events = (app === "every-event" ? 50_000 : 100_000) * scale;
      for (const nodes of [1, 2, 3]) rows.push(await severalNodes({ name: `${nodes} nodes, ${outputs}`, nodes, servers: 1, events, app }));
      rows.push(await severalNodes({ name: `3 nodes, 3 replicas, ${outputs}`, nodes: 3, servers: 3, events: events / 4, app }));
    }
    return rows;
  },
  "snapshot-latency": async () => {
    // Every event changes another of many keys; a snapshot is always being taken, or none ever.
    const load = { app: "one-in-100", rate: 5_000, seconds: full ? 60 : 20, keys: million } as const;
    return [
      await latency({ ...load, name: "5,000 events/s, 1 % outputs, no snapshots", snapshotEvery: "0s" }),
      await latency({ ...load, name: "5,000 events/s, 1 % outputs, a snapshot every 5 s", snapshotEvery: "5s" }),
    ];
  },
  proofs: async () => await proofs({ keys: million, events: 2, batch: 50 }),
  cases: async () => await caseExtremes({ events: 10_000 * scale, cases: million / (full ? 1 : 10) }),
  readers: async () =>
    await apiReaders({
      name: "single, 1 % outputs, 10 K keys",
      events: 800_000 * (full ? 4 : 1),
      keys: 10_000,
      readers: 50,
      workers: availableParallelism(),
    }),
};

const unknown = wanted.find((name) => !(name in benches));
if (unknown !== undefined) {
  process.stderr.write(`There is no benchmark "${unknown}". Known: ${Object.keys(benches).join(", ")}\n`);
  process.exit(2);
}
process.stdout.write(
  `${cpus()[0]?.model ?? "unknown CPU"}, ${availableParallelism()} cores, Node ${process.version}; one run, the broker on the same cores\n`,
);
const results: Record<string, Row[]> = {};
for (const [name, run] of Object.entries(benches)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  process.stderr.write(`${name} …\n`);
  results[name] = await run();
  process.stdout.write(`\n${name}\n${formatTable(results[name])}\n`);
}
const folder = new URL("./results/", import.meta.url);
mkdirSync(folder, { recursive: true });
const file = new URL(`${new Date().toISOString().replaceAll(":", "-")}.json`, folder);
writeFileSync(file, `${JSON.stringify({ at: new Date().toISOString(), node: process.version, full, results }, null, 2)}\n`);
process.stdout.write(`\nwritten to ${file.pathname}\n`);
process.exit(0);
