/** A task of a replay made into what folds it: its source, its base, its outputs, its comparison. */
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { CallRecord } from "../../actors/fold/call-row.ts";
import type { Guard } from "../../actors/fold/fold-options.ts";
import type { Outcome } from "../../actors/fold/result-entry.ts";
import { generationOf, type Job } from "../../actors/model/job.ts";
import { identityOf } from "../app.ts";
import { systemClock } from "../clock.ts";
import { failedCall } from "../effects/call-failures.ts";
import type { Callers, CallNotes } from "../effects/caller.ts";
import { isTidemarkError } from "../errors.ts";
import { openNatsOutputStream } from "../outputs/nats-output-stream.ts";
import { clearState } from "../shard/clear-state.ts";
import { SkipList } from "../shard/skips.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import { openCatalogue, resultPlace, type SnapshotSettings } from "../snapshots/open-catalogue.ts";
import type { ShardStore } from "../store/shard-store.ts";
import { DifferenceLog } from "./difference-log.ts";
import { OutputComparison } from "./output-comparison.ts";
import { OutputDiff } from "./output-diff.ts";
import { PublishedRange } from "./published-range.ts";
import { basesOf, restoreBase } from "./replay-base.ts";
import { archiveSource, logSource, type ReplaySource } from "./replay-source.ts";
import type { PartitionProgress, PartitionReplayed, PartitionTask, ReplayedModel } from "./replay-task.ts";
import { type ReplayedModels, ShardReplay, type ShardReplayParts } from "./shard-replay.ts";

export interface PartitionReplayOptions {
  readonly task: PartitionTask;
  /** As the build declares it, with the node's settings. */
  readonly origin: Job;
  readonly codeHash: string;
  readonly guard: Guard;
  /** `undefined` only for an archive that is neither published nor compared. */
  readonly nc: NatsConnection | undefined;
  readonly snapshots: SnapshotSettings;
  /** Of the thread; needed where the task names models. */
  readonly callers: Callers;
  readonly notice: (message: string) => void;
}

const NO_NOTES: CallNotes = { onAttempt() {}, async onTrial() {}, async onLarge() {} };
const ANSWER_MAX_MS = 300_000;
const MALFORMED_SHOWN = 20;

export class PartitionReplay {
  readonly #options: PartitionReplayOptions;
  #source: ReplaySource | undefined;
  #replay: ShardReplay | undefined;
  #stopping = false;
  #malformed = 0;
  #base: ShardManifest | undefined;
  readonly #malformedLines: { readonly line: number; readonly why: string }[] = [];

  constructor(options: PartitionReplayOptions) {
    this.#options = options;
  }

  get progress(): PartitionProgress | undefined {
    if (this.#replay === undefined || this.#source === undefined) return undefined;
    const { progress } = this.#replay;
    return { ...progress, ...this.#source.share(progress.sequence) };
  }

  stop(): void {
    this.#stopping = true;
    this.#replay?.stop();
  }

  /** Throws as {@link ShardReplay.run}, and INPUT_INVALID, OUTPUT_LAYOUT or NATS_UNREACHABLE. */
  async run(): Promise<PartitionReplayed> {
    const { task, origin, nc, snapshots } = this.#options;
    const source =
      task.archive === undefined
        ? await logSource(nc!, origin, task, resultPlace(nc!, snapshots))
        : archiveSource(origin, task, this.#tellMalformed);
    this.#source = source;
    const shadow = generationOf(origin, task.generation);
    const outputs = task.publish === undefined ? undefined : await openNatsOutputStream(nc!, shadow.name, task.partition, task.publish);
    const differences = new DifferenceLog(task.diffFile);
    try {
      const replay = new ShardReplay(await this.#parts(source, shadow, outputs, differences));
      this.#replay = replay;
      if (this.#stopping) replay.stop();
      const replayed = await replay.run();
      const malformed = { malformed: this.#malformed, malformedLines: this.#malformedLines };
      return { ...replayed, samples: differences.samples, ...malformed, snapshot: this.#base?.id ?? null };
    } finally {
      differences.close();
      outputs?.close();
    }
  }

  async #parts(
    source: ReplaySource,
    shadow: Job,
    outputs: ShardReplayParts["outputs"],
    differences: DifferenceLog,
  ): Promise<ShardReplayParts> {
    const { task, codeHash, guard, notice } = this.#options;
    const restored = await this.#restoring();
    return {
      job: shadow,
      partition: task.partition,
      partitions: task.partitions,
      identity: identityOf(shadow, codeHash),
      guard,
      source: source.source,
      historyFrom: restored?.from ?? source.historyFrom(),
      restore: restored?.restore,
      silent: source.silent,
      end: source.end,
      skips: await this.#skips(),
      outputs,
      compare: task.compare ? (from, readUpTo) => this.#comparison(source, differences, from, readUpTo) : undefined,
      folder: task.folder,
      models: task.models === undefined ? undefined : this.#models(task.models),
      notice,
    };
  }

  /** Time is counted from when a call is made here: those of then are long over. */
  #models(models: readonly ReplayedModel[]): ReplayedModels {
    const champions = models.flatMap(({ name, champion }) => (champion === undefined ? [] : [[name, champion] as const]));
    const asked = new Set(models.map(({ name }) => name));
    const caller = this.#options.callers.get("infer");
    if (caller === undefined) throw new Error("a replay that asks models has nobody to ask");
    const ask = async (call: CallRecord, id: string): Promise<Outcome> => {
      const model = caller.originOf(call.target).slice("infer ".length);
      if (!asked.has(model)) return failedCall("CALLEE_UNAVAILABLE", `The replay was not told to ask "${model}".`);
      const { target, input, token: key } = call;
      const deadline = systemClock.now() + ANSWER_MAX_MS;
      return await caller.call({ id, target, input, key, mayRepeat: true, deadline }, new AbortController().signal, NO_NOTES);
    };
    return { champions: new Map(champions), ask };
  }

  /** `undefined` when the history begins without state. */
  async #restoring(): Promise<{ readonly from: number; readonly restore: (store: ShardStore) => Promise<void> } | undefined> {
    const { task, origin, nc, snapshots, notice } = this.#options;
    if (task.archive !== undefined || (task.snapshot === undefined && task.from.kind === "start")) return undefined;
    const { catalogue } = await openCatalogue(nc!, snapshots);
    const bases = await basesOf(catalogue, origin, task);
    const [first] = bases;
    if (first === undefined) return undefined;
    const restore = async (store: ShardStore): Promise<void> => {
      this.#base = await restoreBase(catalogue, bases, store, () => clearState(store), notice);
    };
    return { from: first.cursor.sequence, restore };
  }

  async #comparison(
    { versions }: ReplaySource,
    differences: DifferenceLog,
    from: number,
    readUpTo: () => number,
  ): Promise<OutputComparison | undefined> {
    const { task, origin, nc } = this.#options;
    const jsm = await jetstreamManager(nc!, { checkAPI: false });
    const archived = task.archive !== undefined;
    // A snapshot may stand in the middle of an entry: then its count says more than the place.
    const behind = this.#base !== undefined && this.#base.cursor.sequence === from ? this.#base.outputs : undefined;
    const published = await PublishedRange.open(jsm, origin.name, task.partition, { from: archived ? 0 : from, behind });
    if (published === undefined) return undefined;
    const diff = new OutputDiff({
      partition: task.partition,
      ignoreVersion: versions.some((version) => version !== origin.version),
      ignorePosition: archived,
      onDifference: (difference) => differences.add(difference),
    });
    return new OutputComparison({ diff, published, readUpTo: archived ? () => Number.MAX_SAFE_INTEGER : readUpTo });
  }

  /** Positions of a log; those of an archive are others. */
  async #skips(): Promise<ReadonlyMap<string, string>> {
    const { task, origin, nc } = this.#options;
    if (task.archive !== undefined) return new Map();
    try {
      return await new SkipList(nc!, origin.name, task.partition).read();
    } catch (error) {
      if (isTidemarkError(error, "LOG_MISSING")) return new Map();
      throw error;
    }
  }

  readonly #tellMalformed = (line: number, why: string): void => {
    this.#malformed++;
    if (this.#malformedLines.length < MALFORMED_SHOWN) this.#malformedLines.push({ line, why });
  };
}
