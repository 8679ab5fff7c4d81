/**
 * What an owner does beside the fold, and a standby does not: it copies reference data into its partition, runs pumps,
 * writes features, makes calls, and answers who owns the shard. All of it goes on where the owner before it was, and
 * may overlap with that one's for a moment.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Job } from "../../actors/model/job.ts";
import type { CallFeed } from "../effects/call-feed.ts";
import type { Callers } from "../effects/caller.ts";
import { EffectExecutor } from "../effects/executor.ts";
import type { FollowedFeatures } from "../features/followed-features.ts";
import type { LineageFeatures } from "../features/lineage-features.ts";
import { type PumpSetup, ShardPumps } from "../pump/shard-pumps.ts";
import type { LogCopiers } from "../reference/log-copiers.ts";
import type { ReferenceCopier } from "../reference/reference-copier.ts";
import type { OwnerEntry } from "./owner-entry.ts";
import { announceOwner } from "./owner-presence.ts";
import type { Beside } from "./report.ts";
import type { Shard } from "./shard.ts";

export interface OwnerWorkParts {
  readonly nc: NatsConnection;
  /** As the app declares it. */
  readonly job: Job;
  readonly setups: readonly PumpSetup[];
  readonly calls: CallFeed;
  readonly copiers: LogCopiers;
  readonly features: LineageFeatures;
  readonly callers: Callers;
  readonly notice: (message: string) => void;
}

export class OwnerWork {
  /** In whose name. */
  readonly owner: OwnerEntry;
  readonly features: FollowedFeatures | undefined;
  readonly #copier: ReferenceCopier;
  readonly #pumps: ShardPumps;
  readonly #effects: EffectExecutor | undefined;
  readonly #hide: () => void;
  #stopped: Promise<void> | undefined;

  constructor(shard: Shard, owner: OwnerEntry, parts: OwnerWorkParts) {
    const { nc, job, setups, calls, copiers, features, callers, notice } = parts;
    const { partition, node } = shard.parts;
    this.owner = owner;
    this.#copier = copiers.start(shard);
    this.features = features.of(job, partition);
    this.#pumps = new ShardPumps(nc, setups, shard, () => features.isFollowed(job), notice);
    this.#pumps.start();
    this.#hide = announceOwner(nc, shard.parts.job.name, partition, node);
    const asks = job.actors.some(({ effects }) => effects.length > 0);
    // A build without effects still has to close what an earlier one asked for.
    if (asks || shard.fold.meta.calls > 0) this.#effects = new EffectExecutor(shard, owner, calls, callers);
    shard.isHeldUp = () => this.#effects?.overloaded ?? false;
  }

  /** With each turn of the shard's loop. Never waits. */
  turn(): void {
    this.#effects?.turn();
  }

  /** Resolves when nothing of it goes on. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  report(): Beside {
    return { features: this.features?.report(), pumps: this.#pumps.reports(), effects: this.#effects?.measures() };
  }

  async #stop(): Promise<void> {
    this.#copier.stop();
    this.features?.stop();
    this.#pumps.stop();
    this.#hide();
    await this.#effects?.stop();
    await this.features?.ended();
  }
}
