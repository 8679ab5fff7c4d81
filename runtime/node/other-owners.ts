/** Snapshots of shards whose owners are other nodes, and restores of them: each does its own part, and says what came of it. */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "../clock.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { askNode, type NodeMethods } from "../cluster/node-calls.ts";
import { TidemarkError } from "../errors.ts";
import type { ShardManifest, SnapshotReason } from "../snapshots/manifest.ts";
import type { OtherOwners, SnapshotShards, Snapshots } from "../snapshots/snapshots.ts";
import type { HostedShards } from "./hosted-shards.ts";

const DEADLINE_MS = 4 * 60 * 60 * 1000;
/** How often it is looked whether the owner still is one. */
const LOOK_MS = 1_000;

export function otherOwners(nc: NatsConnection, cluster: Cluster, clock: Clock): OtherOwners {
  const ownerOf = (job: string, shard: number): string | undefined => {
    if (cluster.owns(job, shard)) return undefined;
    const owner = cluster.ownerOf(job, shard);
    if (owner === undefined) throw new TidemarkError("NODE_UNREACHABLE", `Nobody owns ${job}/${shard} at this moment.`);
    return owner;
  };
  return {
    ownerOf,
    hasChanged: (node, job, shard) => askNode(nc, node, "hasChanged", [job, shard]),
    async takeShard(node, job, shard, reason, signal) {
      const over = new AbortController();
      const ends = AbortSignal.any([over.signal, signal]);
      const holder = cluster.holderOf(job, shard);
      const lost = async (): Promise<never> => {
        while (cluster.holderOf(job, shard) === holder && !ends.aborted) await clock.sleep(LOOK_MS, ends);
        signal.throwIfAborted();
        throw new TidemarkError("NODE_UNREACHABLE", `${node} does not own ${job}/${shard} any more.`);
      };
      const taken = askNode<ShardManifest | undefined>(nc, node, "takeShard", [job, shard, reason], DEADLINE_MS);
      return await Promise.race([taken, lost()]).finally(() => over.abort());
    },
  };
}

export type PutBack = HostedShards["restore"];

/**
 * Puts a shard back where its owner is; a standby has the same state a moment later, whatever its owner's was made of. Of an owner
 * elsewhere no progress is told. Throws as {@link HostedShards.restore} does, and NODE_UNREACHABLE when the owner is gone meanwhile.
 */
export function putBackAnywhere(nc: NatsConnection, cluster: Cluster, shards: Pick<HostedShards, "restore">, clock: Clock): PutBack {
  return async (manifest, progress, signal) => {
    const { job, shard } = manifest;
    const owner = cluster.owns(job, shard) ? undefined : cluster.ownerOf(job, shard);
    if (owner === undefined) return await shards.restore(manifest, progress, signal);
    const over = new AbortController();
    const sessionOf = (): string | undefined => cluster.members.others().find(({ node }) => node === owner)?.session;
    const session = sessionOf();
    const cancel = (): void => void askNode(nc, owner, "cancelRestore", [job, shard]).catch(() => {});
    signal.addEventListener("abort", cancel, { once: true });
    // Its lease may well go to a standby meanwhile.
    const lost = async (): Promise<never> => {
      while (sessionOf() === session && !over.signal.aborted) await clock.sleep(LOOK_MS, over.signal);
      throw new TidemarkError("NODE_UNREACHABLE", `${owner}, which puts ${job}/${shard} back, is gone.`);
    };
    try {
      await Promise.race([askNode(nc, owner, "restore", [manifest], DEADLINE_MS), lost()]);
    } finally {
      over.abort();
      signal.removeEventListener("abort", cancel);
    }
  };
}

/** What this node answers to that. */
export function restoreMethods(shards: HostedShards, cluster: Cluster): NodeMethods {
  return {
    async restore(manifest: ShardManifest) {
      cluster.refuseOthers(manifest.job, manifest.shard);
      await shards.restore(manifest, () => {}, new AbortController().signal);
    },
    cancelRestore: (job: string, shard: number) => shards.cancelRestore(job, shard),
  };
}

/** What this node answers to that, of shards that it owns. */
export function snapshotMethods(snapshots: Snapshots, shards: SnapshotShards, cluster: Cluster): NodeMethods {
  return {
    async hasChanged(job: string, shard: number) {
      cluster.refuseOthers(job, shard);
      return await shards.hasChanged(job, shard);
    },
    async takeShard(job: string, shard: number, reason: SnapshotReason) {
      cluster.refuseOthers(job, shard);
      return await snapshots.takeShard(job, shard, reason);
    },
  };
}
