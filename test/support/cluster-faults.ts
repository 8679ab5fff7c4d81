/**
 * What is done to a cluster of nodes and NATS servers while it works: a plan that a seed decides, and how each fault of it begins and
 * ends. None is undone by anybody but the test, and none needs anything of a node but that it goes on by itself.
 */
import type { ClusterNodes } from "./cluster-nodes.ts";
import { type NatsCluster, SERVERS } from "./nats-cluster.ts";
import type { Place, TestNetwork } from "./network.ts";

export interface FaultyCluster {
  readonly nodes: ClusterNodes;
  readonly servers: NatsCluster;
  /** Without it no fault of the network can be had. */
  readonly network: TestNetwork | undefined;
  readonly placeOf: { readonly nodes: readonly Place[]; readonly servers: readonly Place[] };
}

type End = () => Promise<void>;

interface FaultKind {
  readonly of: "node" | "server";
  /** Resolves with what ends it. `others`: one or two servers, for those that are about some. */
  begin(cluster: FaultyCluster, victim: number, others: readonly number[]): Promise<End>;
}

const PROCESS_FAULTS = {
  "node killed": {
    of: "node",
    async begin({ nodes }, i) {
      // Also before it is ready: no moment is safe.
      await nodes.kill(i);
      return async () => void nodes.start(i);
    },
  },
  "node stopped": {
    of: "node",
    async begin({ nodes }, i) {
      await nodes.ready(i);
      await nodes.stop(i);
      return async () => void nodes.start(i);
    },
  },
  "node frozen": {
    of: "node",
    async begin({ nodes }, i) {
      await nodes.ready(i);
      nodes.freeze(i);
      return async () => nodes.thaw(i);
    },
  },
  "server killed": {
    of: "server",
    async begin({ servers }, i) {
      await servers.kill(i);
      return () => servers.restart(i);
    },
  },
  "server frozen": {
    of: "server",
    async begin({ servers }, i) {
      servers.freeze(i);
      return async () => servers.thaw(i);
    },
  },
} satisfies Record<string, FaultKind>;

const NETWORK_FAULTS = {
  "node cut off": {
    of: "node",
    begin: async ({ network, placeOf }, i) => cutApart(network!, [placeOf.nodes[i]!], placeOf.servers),
  },
  "node cut off from some servers": {
    of: "node",
    begin: async ({ network, placeOf }, i, others) =>
      cutApart(
        network!,
        [placeOf.nodes[i]!],
        others.map((other) => placeOf.servers[other]!),
      ),
  },
  "node hears no server": {
    of: "node",
    async begin({ network, placeOf }, i) {
      const mends = placeOf.servers.map((server) => network!.cut(server, placeOf.nodes[i]!));
      return async () => mends.forEach((mend) => void mend());
    },
  },
  "node on a slow network": {
    of: "node",
    begin: async ({ network, placeOf }, i) => asEnd(network!.slow(placeOf.nodes[i]!)),
  },
  "server cut off from the others": {
    of: "server",
    begin: async ({ network, placeOf }, i) =>
      cutApart(
        network!,
        [placeOf.servers[i]!],
        placeOf.servers.filter((_, other) => other !== i),
      ),
  },
  "server on a slow network": {
    of: "server",
    begin: async ({ network, placeOf }, i) => asEnd(network!.slow(placeOf.servers[i]!)),
  },
} satisfies Record<string, FaultKind>;

const FAULTS: Readonly<Record<string, FaultKind>> = { ...PROCESS_FAULTS, ...NETWORK_FAULTS };
type FaultName = keyof typeof PROCESS_FAULTS | keyof typeof NETWORK_FAULTS;

export const ALL_FAULTS = Object.keys(FAULTS) as FaultName[];
export const OF_PROCESSES = Object.keys(PROCESS_FAULTS) as FaultName[];
export const OF_NETWORKS = Object.keys(NETWORK_FAULTS) as FaultName[];

export interface PlannedFault {
  readonly name: FaultName;
  readonly victim: number;
  readonly others: readonly number[];
}

export interface Round {
  /** At the same time; of two, one is a node's and one a server's. */
  readonly faults: readonly PlannedFault[];
  readonly ms: number;
  /** Between its end and the next one. */
  readonly restMs: number;
}

export interface PlanOptions {
  readonly kinds: readonly FaultName[];
  readonly rounds: number;
  readonly nodes: number;
  readonly longestMs: number;
}

/** Every so many rounds a node and a server have a fault at the same time. */
const TWO_AT_A_TIME = 3;
const REST_MS = 2_000;

/** Each kind comes once before any comes twice. Most are short, and some as long as may be. */
export function planFaults(random: () => number, { kinds, rounds, nodes, longestMs }: PlanOptions): Round[] {
  const decks = { node: [] as FaultName[], server: [] as FaultName[], any: [] as FaultName[] };
  const deal = (of: keyof typeof decks): PlannedFault => {
    const deck = decks[of];
    if (deck.length === 0)
      deck.push(
        ...shuffled(
          random,
          kinds.filter((name) => of === "any" || FAULTS[name]!.of === of),
        ),
      );
    const name = deck.pop()!;
    const victim = Math.floor(random() * (FAULTS[name]!.of === "node" ? nodes : SERVERS.length));
    return { name, victim, others: shuffled(random, SERVERS).slice(1 + Math.floor(random() * 2)) };
  };
  return Array.from({ length: rounds }, (_, i) => ({
    faults: i % TWO_AT_A_TIME === TWO_AT_A_TIME - 1 ? [deal("node"), deal("server")] : [deal("any")],
    ms: Math.round(longestMs * random() ** 2),
    restMs: Math.round(REST_MS * random()),
  }));
}

export async function beginFault(cluster: FaultyCluster, { name, victim, others }: PlannedFault): Promise<End> {
  return await FAULTS[name]!.begin(cluster, victim, others);
}

export function describeRound({ faults, ms }: Round): string {
  const what = faults.map(({ name, victim }) => `${name}: ${victim}`);
  return `${what.join(" and ")} (${(ms / 1000).toFixed(1)} s)`;
}

export function shuffled<T>(random: () => number, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}

/** Both ways, each with each. */
export function cutApart(network: TestNetwork, these: readonly Place[], those: readonly Place[]): End {
  const mends = these.flatMap((one) => those.flatMap((other) => [network.cut(one, other), network.cut(other, one)]));
  return asEnd(() => mends.forEach((mend) => void mend()));
}

function asEnd(end: () => void): End {
  return async () => end();
}
