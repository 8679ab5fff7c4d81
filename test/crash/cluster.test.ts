/**
 * Three nodes on three NATS servers under load, while nodes and servers are killed, frozen and cut off from each other, and once the
 * majority of the servers is lost.
 */
import { test } from "node:test";
import { ALL_FAULTS, OF_NETWORKS, OF_PROCESSES } from "../support/cluster-faults.ts";
import { type ClusterRun, type ClusterRunOptions, clusterRun } from "../support/cluster-run.ts";
import { whyNoNetwork } from "../support/network.ts";
import { inOwnNetwork } from "../support/own-network.ts";

const RUN_MAIN = new URL("../support/cluster-run-main.ts", import.meta.url);
const SEED = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 1e9));
const EVENTS_PER_SECOND = Number(process.env.CRASH_EVENTS_PER_SECOND ?? 200);
/** With it set, all kinds of faults in one run; without, few of either. */
const ROUNDS = process.env.CRASH_ROUNDS === undefined ? undefined : Number(process.env.CRASH_ROUNDS);
const LONGEST_MS = Number(process.env.CRASH_STOPPED_MS ?? 6_000);
const SMALL = { seed: SEED, eventsPerSecond: EVENTS_PER_SECOND, longestMs: 6_000 };
const WHAT = `lose, double, reorder and change nothing (CRASH_SEED=${SEED})`;

test(`kills, stops and freezes of nodes and servers, and the loss of a majority ${WHAT}`, { timeout: 300_000 }, async (t) => {
  tell(t, await clusterRun(t, { ...SMALL, kinds: OF_PROCESSES, rounds: 2, losesMajority: true }));
});

test(`cuts and delay of the network, ${ROUNDS ?? 2} rounds, ${WHAT}`, {
  timeout: 40 * 60_000,
  skip: whyNoNetwork() ?? false,
}, async (t) => {
  const run =
    ROUNDS === undefined
      ? { ...SMALL, kinds: OF_NETWORKS, rounds: 2, losesMajority: false }
      : { ...SMALL, kinds: ALL_FAULTS, rounds: ROUNDS, losesMajority: true, longestMs: LONGEST_MS };
  tell(t, await inOwnNetwork<ClusterRunOptions, ClusterRun>(t, RUN_MAIN, run));
});

function tell(t: { diagnostic(message: string): void }, { faults, ...counts }: ClusterRun): void {
  t.diagnostic(faults.join(", "));
  t.diagnostic(JSON.stringify(counts));
}
