/**
 * Puts a hosted shard together: its state, from a snapshot where it has none, its output stream, its skips and crash
 * marks. What may pass, such as NATS that is away, is waited for; everything else is thrown.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { META_ROW } from "../../actors/fold/keys.ts";
import { committedStateHash } from "../../actors/fold/shard-state.ts";
import type { Job } from "../../actors/model/job.ts";
import { identityOf } from "../app.ts";
import { systemClock } from "../clock.ts";
import { messageWithPage } from "../doc-page.ts";
import { type ErrorCode, TidemarkError } from "../errors.ts";
import { askApi } from "../log/jetstream-api.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import type { Replication } from "../log/replication.ts";
import { type NatsOutputStream, openNatsOutputStream } from "../outputs/nats-output-stream.ts";
import { primitives } from "../primitives.ts";
import { wholeLogOf } from "../results/whole-log.ts";
import { ChangedRows } from "../snapshots/changed-rows.ts";
import type { BlobPlace } from "../snapshots/open-catalogue.ts";
import { restoreNewest } from "../snapshots/restore-newest.ts";
import type { SnapshotSource } from "../snapshots/snapshot-source.ts";
import { openLmdbStore } from "../store/lmdb-store.ts";
import type { ShardStore } from "../store/shard-store.ts";
import { refuseDamaged } from "../verify/refusal.ts";
import { clearState } from "./clear-state.ts";
import { FileCrashMarks } from "./crash-marks.ts";
import { CRASH_MARK, epochOfState } from "./folder-state.ts";
import { installGuards } from "./guards.ts";
import type { HostedShard, ShardPlace } from "./hosted-shard.ts";
import { findOwner } from "./owner-presence.ts";
import { Shard } from "./shard.ts";
import type { ShardRole } from "./shard-parts.ts";
import { SkipList } from "./skips.ts";

export interface BuilderOptions {
  readonly nodeId: string;
  readonly profile: "development" | "production";
  readonly codeHash: string;
  readonly streamMaxBytes: number;
  readonly replication: Replication;
  /** Default true. */
  readonly timelineIndex?: boolean;
  /** Opened when the first shard without state asks. Throws SNAPSHOT_STORE or CONFIG_INVALID. */
  readonly snapshots: () => Promise<SnapshotSource>;
  /** Where large results lie; see {@link resultPlace}. */
  readonly results: () => Promise<BlobPlace>;
}

const START_RETRY_MS = 1_000;
const START_RETRY_MAX_MS = 15_000;
const PAUSE_STEP_MS = 250;

/** What a start waits for; a standby also for an owner of its own build. A log without a leader looks like none to whoever appends to it. */
const PASSING: ReadonlySet<ErrorCode> = new Set(["NATS_UNREACHABLE", "LOG_MISSING", "PUBLISH_TIMEOUT", "SNAPSHOT_STORE"]);
const PASSING_FOR_STANDBYS: ReadonlySet<ErrorCode> = new Set(["SHARD_UNBEGUN", "CODE_UNAVAILABLE", "CODE_VERSION_UNCHANGED"]);

function mayPass({ code }: TidemarkError, role: ShardRole): boolean {
  return PASSING.has(code) || (role === "standby" && PASSING_FOR_STANDBYS.has(code));
}

/** Fresh and random, for one owner entry. */
export function ownerToken(): string {
  return randomBytes(16).toString("hex");
}

export class ShardBuilder {
  readonly #nc: NatsConnection;
  readonly #options: BuilderOptions;
  readonly #notice: (message: string) => void;
  #draining = false;

  constructor(nc: NatsConnection, options: BuilderOptions, notice: (message: string) => void) {
    this.#nc = nc;
    this.#options = options;
    this.#notice = notice;
  }

  /** What waits to be built is not built any more. */
  drain(): void {
    this.#draining = true;
  }

  /** NATS, or the place of the snapshots, that is away is waited for, as by a shard that runs. `undefined` when drained meanwhile. */
  async build(hosted: HostedShard, job: Job, place: ShardPlace): Promise<Shard | undefined> {
    for (let tries = 0; !this.#draining && !hosted.ending; tries++) {
      const { role } = hosted;
      try {
        const shard = await this.#build(hosted, job, place, role);
        hosted.waitsFor = undefined;
        return shard;
      } catch (error) {
        if (!(error instanceof TidemarkError) || !mayPass(error, role)) throw error;
        // Said again when it is another one: the message is long, and it may be a night.
        const isNews = hosted.waitsFor?.detail !== error.detail;
        await hosted.close();
        hosted.waitsFor = error;
        if (isNews) this.#notice(`${job.name}/${place.partition} waits: ${messageWithPage(error)}`);
        await this.#pause(hosted, role, Math.min(START_RETRY_MS * 2 ** tries, START_RETRY_MAX_MS));
      } finally {
        hosted.restoring = undefined;
      }
    }
    return undefined;
  }

  /** Ends early for one that is to end, or to take another role. */
  async #pause(hosted: HostedShard, role: ShardRole, ms: number): Promise<void> {
    for (let left = ms; left > 0 && !this.#draining && !hosted.ending && hosted.role === role; left -= PAUSE_STEP_MS) {
      await systemClock.sleep(Math.min(left, PAUSE_STEP_MS));
    }
  }

  async #build(hosted: HostedShard, job: Job, place: ShardPlace, role: ShardRole): Promise<Shard> {
    const { partition, partitions, folder } = place;
    const store = openLmdbStore(folder);
    hosted.opened(() => store.close());
    hosted.stateEpoch = () => epochOfState(store);
    const marks = new FileCrashMarks(join(folder, CRASH_MARK));
    hosted.opened(() => marks.close());
    const outputs = await this.#openOutputs(job, partition);
    hosted.opened(() => outputs.close());
    if (store.get(META_ROW) === undefined) await this.#restore(hosted, job, place, store, (await outputs.last()).sequence);
    hosted.changed = new ChangedRows(committedStateHash(store, primitives));
    const skipList = new SkipList(this.#nc, job.name, partition);
    const { conviction } = marks;
    if (conviction !== undefined && role === "standby") {
      // Its owner may have passed the unit, without an output that says so: a skip would make another history of it.
      const what = `${job.name}/${partition}: ${conviction.unit} took the process down twice here, on a standby.`;
      throw new TidemarkError("CRASH_LOOP", what);
    }
    if (conviction !== undefined) {
      const last = await outputs.last();
      if (last.sequence > conviction.outputs)
        this.#notice(`${job.name}/${partition}: ${conviction.unit} is not skipped: another owner has passed it`);
      else {
        await refuseDamaged(job.name, partition, folder);
        this.#notice(`${job.name}/${partition}: skipping ${conviction.unit}: it took the process down twice`);
        await skipList.append(conviction);
      }
    }
    hosted.skips = new Map(await skipList.read());
    const { skips } = hosted;
    return await Shard.start({
      job,
      partition,
      partitions,
      identity: identityOf(job, this.#options.codeHash),
      // Nobody begins a generation anew but an operator.
      profile: job.origin === undefined ? this.#options.profile : "production",
      node: this.#options.nodeId,
      log: wholeLogOf(this.#nc, job, partition, this.#options.results, {
        clock: systemClock,
        notice: (message) => this.#notice(`${job.name}/${partition}: ${message}`),
      }),
      store,
      outputs,
      marks,
      skips,
      timelineIndex: this.#options.timelineIndex ?? true,
      guard: installGuards(),
      clock: systemClock,
      role,
      ownerToken: ownerToken(),
      calls: hosted.calls,
      changed: hosted.changed,
      notice: this.#notice,
      onFailure: (position, handler, thrown) => {
        this.#notice(
          `${job.name}/${partition}: ${handler} failed at ${position}: ${thrown instanceof Error ? thrown.stack : String(thrown)}`,
        );
      },
      otherOwner: () => findOwner(this.#nc, job.name, partition),
      deleteOutputs: async () => {
        await this.#deleteOutputs(outputs.stream, job, partition);
        // What the code before could not survive this one may: its skips go with its history.
        await skipList.clear();
        skips.clear();
      },
      clearState: () => clearState(store),
    });
  }

  /** From the newest snapshot, where there is one to go on from. */
  async #restore(hosted: HostedShard, job: Job, { partition, partitions }: ShardPlace, store: ShardStore, outputs: number): Promise<void> {
    hosted.restored = await restoreNewest(await this.#options.snapshots(), {
      job: job.name,
      log: job.log,
      partition,
      partitions,
      store,
      clear: () => clearState(store),
      outputs,
      storedAt: async (sequence) => {
        const entry = await new NatsPartitionLog(this.#nc, job.log, partition).firstOn(">", sequence);
        return entry?.sequence === sequence ? entry.logTime : undefined;
      },
      clock: systemClock,
      notice: this.#notice,
      progress: (restoring) => {
        hosted.restoring = restoring;
      },
    });
  }

  #openOutputs(job: Job, partition: number): Promise<NatsOutputStream> {
    return openNatsOutputStream(this.#nc, job.name, partition, { maxBytes: this.#options.streamMaxBytes, ...this.#options.replication });
  }

  async #deleteOutputs(stream: string, job: Job, partition: number): Promise<void> {
    await askApi(this.#nc, `STREAM.DELETE.${stream}`, undefined);
    (await this.#openOutputs(job, partition)).close();
  }
}
