/**
 * Features of the shards of one thread: of a job and its generations those are kept that belong to the one which sinks
 * follow. The record in the bucket decides; what is told here only says when to begin and to end.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { type Job, lineageOf } from "../../actors/model/job.ts";
import { systemClock } from "../clock.ts";
import { GenerationBucket } from "../generations/generation-bucket.ts";
import { findOwner } from "../shard/owner-presence.ts";
import type { BucketSizes } from "./feature-bucket.ts";
import { FollowedFeatures } from "./followed-features.ts";

export interface LineageFeaturesParts {
  readonly nc: NatsConnection;
  readonly sizes: BucketSizes;
  readonly profile: "development" | "production";
  readonly notice: (message: string) => void;
}

export class LineageFeatures {
  readonly #parts: LineageFeaturesParts;
  /** By job: whose outputs sinks follow, where it is a generation's. */
  #active: Readonly<Record<string, string>> = {};

  constructor(parts: LineageFeaturesParts) {
    this.#parts = parts;
  }

  set active(active: Readonly<Record<string, string>>) {
    this.#active = active;
  }

  isFollowed(job: Job): boolean {
    const lineage = lineageOf(job);
    return (this.#active[lineage] ?? lineage) === job.name;
  }

  /** Of a shard of a job that puts some out; they are kept if the job is followed. */
  of(job: Job, shard: number): FollowedFeatures | undefined {
    if (job.features.size === 0) return undefined;
    const { nc, sizes, profile, notice } = this.#parts;
    const features = new FollowedFeatures({
      nc,
      job,
      shard,
      sizes,
      clock: systemClock,
      notice,
      jobGone: async (other) => {
        const lineage = lineageOf(job);
        const bucket = new GenerationBucket(nc);
        if (await bucket.isOfLineage(other, lineage)) return (await bucket.activeOf(lineage)) === job.name;
        // Every job has a shard 0.
        return profile === "development" && (await findOwner(nc, other, 0)) === undefined;
      },
    });
    features.follow(this.isFollowed(job));
    return features;
  }
}
