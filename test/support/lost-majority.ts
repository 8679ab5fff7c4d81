/** Two of three servers are gone for a while, in one of the ways in which servers go: the nodes wait, say so, and go on by themselves. */
import assert from "node:assert/strict";
import { cutApart, type FaultyCluster, shuffled } from "./cluster-faults.ts";
import type { ClusterLoad } from "./cluster-load.ts";
import type { Readiness } from "./cluster-nodes.ts";
import { pause } from "./crash-run.ts";
import { SERVERS } from "./nats-cluster.ts";

const POLL_MS = 50;
const SAID_WITHIN_MS = 120_000;
const WAYS = ["killed", "frozen", "cut apart"] as const;
type Way = (typeof WAYS)[number];

/** Resolves with what was done, when all nodes are ready again. */
export async function loseMajority(cluster: FaultyCluster, load: ClusterLoad, random: () => number, ms: number): Promise<string> {
  const { nodes, network } = cluster;
  const [way] = shuffled(random, network === undefined ? WAYS.slice(0, 2) : WAYS);
  const lost = shuffled(random, SERVERS).slice(1);
  for (let i = 0; i < nodes.nodes.length; i++) await until(cluster, i, ({ ready }) => ready);
  const told = nodes.nodes.map((node) => node!.log.length);
  const over = performance.now() + ms;
  const end = await begin(cluster, way!, lost);
  await load.assertRefused();
  for (const i of nodes.nodes.keys())
    await until(cluster, i, ({ reasons }) => reasons.some((reason) => /^NATS does not answer: /.test(reason)));
  await pause(Math.max(0, over - performance.now()));
  await end();
  for (const [i, node] of nodes.nodes.entries()) {
    await until(cluster, i, ({ ready }) => ready);
    assert.match(node!.log.slice(told[i]), /NATS does not serve, and the node waits for it: [\s\S]*NATS serves again/);
  }
  return `servers ${way === "cut apart" ? SERVERS.join(", ") : lost.join(", ")} ${way} (${(ms / 1000).toFixed(1)} s)`;
}

async function begin({ servers, network, placeOf }: FaultyCluster, way: Way, lost: readonly number[]): Promise<() => Promise<void>> {
  if (way === "killed") {
    for (const i of lost) await servers.kill(i);
    return () => servers.restart(...lost);
  }
  if (way === "frozen") {
    for (const i of lost) servers.freeze(i);
    return async () => {
      for (const i of lost) servers.thaw(i);
    };
  }
  const [one, ...others] = placeOf.servers;
  const ends = [cutApart(network!, [one!], others), cutApart(network!, others.slice(0, 1), others.slice(1))];
  return async () => {
    for (const end of ends) await end();
  };
}

async function until({ nodes }: FaultyCluster, i: number, wanted: (readiness: Readiness) => boolean): Promise<void> {
  for (const giveUpAt = performance.now() + SAID_WITHIN_MS; ; await pause(POLL_MS)) {
    const readiness = await nodes.readiness(i);
    if (wanted(readiness)) return;
    assert(performance.now() < giveUpAt, `n${i} says ${JSON.stringify(readiness)}`);
  }
}
