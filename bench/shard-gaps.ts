/** How long shards say nothing while nodes come and go, as a subscriber sees it. */
import type { NatsConnection } from "@nats-io/transport-node";
import type { ShardReport } from "../runtime/shard/report.ts";
import { type NodeProcess, shardsOf } from "../test/support/node-process.ts";

/** Of the log; two or three nodes have as many each. */
export const PARTITIONS = 6;
const POLL_MS = 200;
const SETTLED_WITHIN_MS = 60_000;

/** Each node owns its share, and stands by for the other's where it is to. */
export async function settled(nodes: readonly NodeProcess[], standbys: boolean): Promise<readonly ShardReport[]> {
  const until = performance.now() + SETTLED_WITHIN_MS;
  for (;;) {
    const shards = await shardsOf(await nodes[0]!.ready);
    const running = shards.filter(({ status, lag }) => status === "running" && lag < 5_000);
    const share = PARTITIONS / nodes.length;
    const isSettled =
      nodes.every((_, i) => running.filter(({ node, role }) => node === `n${i}` && role === "owner").length === share) &&
      running.filter(({ role }) => role === "standby").length === (standbys ? PARTITIONS : 0);
    if (isSettled) return shards;
    if (performance.now() > until)
      throw new Error(`the nodes have not come to rest:\n${shown(shards)}\n${nodes.map(({ log }) => log).join("\n")}`);
    await pause(POLL_MS);
  }
}

function shown(shards: readonly ShardReport[]): string {
  return shards
    .map(({ shard, node, role, status, lag, build }) => `${shard} ${node} ${role} ${status} lag ${lag} v${build?.version}`)
    .join("\n");
}

/** When outputs of each shard came. */
export class Gaps {
  readonly #last = new Float64Array(PARTITIONS);
  readonly #longest = new Float64Array(PARTITIONS);
  readonly #from = performance.now();
  #count = 0;

  constructor(nc: NatsConnection) {
    nc.subscribe("bench.out.>", { callback: (_error, { subject }) => this.#came(Number(subject.split(".")[2])) });
  }

  begin(): void {
    this.#last.fill(performance.now());
    this.#longest.fill(0);
  }

  /** In milliseconds, of any shard since `begin`. */
  longest(): number {
    for (let shard = 0; shard < PARTITIONS; shard++) this.#note(shard, performance.now());
    return Math.max(...this.#longest);
  }

  perSecond(): number {
    return this.#count / ((performance.now() - this.#from) / 1000);
  }

  #came(shard: number): void {
    const now = performance.now();
    this.#count++;
    this.#note(shard, now);
    this.#last[shard] = now;
  }

  #note(shard: number, now: number): void {
    this.#longest[shard] = Math.max(this.#longest[shard]!, now - this.#last[shard]!);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
