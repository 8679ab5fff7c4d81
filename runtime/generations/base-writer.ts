/** The keeper's thread as those see it who begin and drop generations. */
import * as Comlink from "comlink";
import { formatInstant } from "../../actors/model/time.ts";
import type { Clock } from "../clock.ts";
import type { KeeperThread } from "../snapshots/keeper.ts";
import { type JobManifest, type ShardManifest, SNAPSHOT_FORMAT } from "../snapshots/manifest.ts";
import { shardSnapshotId } from "../snapshots/shard-snapshot.ts";
import type { BaseRequest, BaseWriter } from "./generation-begin.ts";

const DEADLINE_MS = 4 * 60 * 60 * 1000;

export class KeeperBaseWriter implements BaseWriter {
  readonly #keeper: KeeperThread;
  readonly #clock: Clock;

  constructor(keeper: KeeperThread, clock: Clock) {
    this.#keeper = keeper;
    this.#clock = clock;
  }

  newName(sequence: number): string {
    return shardSnapshotId(sequence, this.#clock.now());
  }

  async deleteAll(job: string): Promise<void> {
    await this.#keeper.ask("delete snapshots", (keeper) => keeper.deleteAll(job), DEADLINE_MS);
  }

  async writeBase(request: BaseRequest, progress: (rows: number) => void): Promise<ShardManifest> {
    const told = Comlink.proxy(progress);
    return await this.#keeper.ask("begin", (keeper) => keeper.writeBase(request, told), DEADLINE_MS);
  }

  async nameBases(bases: readonly ShardManifest[]): Promise<void> {
    const { job, log, partitions } = bases[0]!;
    const takenAt = this.#clock.now();
    const manifest: JobManifest = {
      format: SNAPSHOT_FORMAT,
      kind: "job",
      id: `${job}.${formatInstant(takenAt).replace(/[-:.]/g, "")}`,
      job,
      log,
      partitions,
      takenAt,
      reason: "generation",
      shards: bases.map(({ shard, id }) => ({ shard, snapshot: id })),
    };
    await this.#keeper.ask("seal", (keeper) => keeper.seal(manifest), DEADLINE_MS);
  }
}
