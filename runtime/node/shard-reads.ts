/**
 * Reads of committed state, wherever it is: of a shard that this node owns by its own reader thread, of any other by
 * that of the owner. A read is as good as the owner's last commit.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "../clock.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { askNode, type NodeMethods } from "../cluster/node-calls.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { type Outcome, outcomeValue } from "../threads/outcome.ts";
import type { Thread } from "../threads/thread-call.ts";
import type { Reads, ShardFolder, StateReader } from "./state-reader.ts";

/** Methods that take the place of a shard first. */
type ShardRead = Exclude<keyof Reads, "codeHash">;
type Rest<K extends ShardRead> = Parameters<Reads[K]> extends [unknown, ...infer R] ? R : never;
/** A place without the folder, which differs from node to node. */
type Place<K extends ShardRead> = Omit<Parameters<Reads[K]>[0], "folder">;

export type ShardPlace = Pick<ShardFolder, "job" | "partition">;

/** Who may answer: the owner alone, or whoever has a copy, the standby included, which lags by a moment. */
export type Consistency = "latest" | "any";

export interface ShardReadsParts {
  readonly nc: NatsConnection;
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly reader: Thread<StateReader>;
  readonly folderOf: (job: string, partition: number) => string;
  /** Whether a copy runs on this node. */
  readonly isHere: (job: string, partition: number) => boolean;
}

const CHANGES_HANDS_MS = 1_000;
const LOOK_AGAIN_MS = 50;

export class ShardReads {
  readonly #parts: ShardReadsParts;

  constructor(parts: ShardReadsParts) {
    this.#parts = parts;
  }

  /**
   * Throws NODE_UNREACHABLE where the owner does not answer or there is none, and what the read throws. A shard that changes hands is
   * looked for again meanwhile, for up to a second.
   */
  async read<K extends ShardRead>(
    method: K,
    place: Place<K>,
    rest: Rest<K>,
    consistency: Consistency = "latest",
  ): Promise<ReturnType<Reads[K]>> {
    const { clock } = this.#parts;
    const until = clock.monotonic() + CHANGES_HANDS_MS;
    for (;;) {
      try {
        return await this.#readNow(method, place, rest, consistency);
      } catch (error) {
        if (!isTidemarkError(error, "NODE_UNREACHABLE") || clock.monotonic() >= until) throw error;
        await clock.sleep(LOOK_AGAIN_MS);
      }
    }
  }

  async #readNow<K extends ShardRead>(method: K, place: Place<K>, rest: Rest<K>, consistency: Consistency): Promise<ReturnType<Reads[K]>> {
    const { nc, cluster, isHere } = this.#parts;
    const { job, partition } = place as ShardPlace;
    const local = cluster.owns(job, partition) || (consistency === "any" && isHere(job, partition));
    if (local) return await this.#here(method, place, rest);
    const owner = cluster.ownerOf(job, partition);
    if (owner === undefined) throw new TidemarkError("NODE_UNREACHABLE", `Nobody owns ${job}/${partition} at this moment.`);
    return await askNode(nc, owner, "read", [method, place, rest]);
  }

  /** What this node answers the others. */
  get methods(): NodeMethods {
    return {
      read: async (method: ShardRead, place: Place<ShardRead>, rest: Rest<ShardRead>) => {
        const { job, partition } = place as ShardPlace;
        this.#parts.cluster.refuseOthers(job, partition);
        return await this.#here(method, place, rest);
      },
    };
  }

  async #here<K extends ShardRead>(method: K, place: Place<K>, rest: Rest<K>): Promise<ReturnType<Reads[K]>> {
    const { reader, folderOf } = this.#parts;
    const { job, partition } = place as ShardPlace;
    const here = { ...place, folder: folderOf(job, partition) };
    type Ask = (place: unknown, ...rest: unknown[]) => Promise<Outcome<ReturnType<Reads[K]>>>;
    return outcomeValue(await reader.call(method, (remote) => (remote[method] as unknown as Ask)(here, ...rest)));
  }
}
