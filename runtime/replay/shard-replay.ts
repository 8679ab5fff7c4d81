/**
 * One partition of a shadow job: the production shard over a range of a log, in a store that is thrown away, its outputs
 * published under the shadow's name or nowhere, and beside it the comparison with what was published.
 *
 * It goes on until the range is folded or it is asked to stop, and it makes no call: results that the origin recorded
 * answer those of then, and what stays unanswered is counted. What lies before the range is folded first, silently.
 */
import { randomBytes } from "node:crypto";
import type { ActivatedVersion } from "../../actors/fold/activated-models.ts";
import { type CallRecord, callId } from "../../actors/fold/call-row.ts";
import type { Guard } from "../../actors/fold/fold-options.ts";
import { type CallAddress, HASH_ROW, META_ROW, SUMS_ROW } from "../../actors/fold/keys.ts";
import { jobAt } from "../../actors/fold/lineage.ts";
import { type CodeIdentity, type Counts, type Epoch, type Meta, readMeta } from "../../actors/fold/meta.ts";
import type { NumberedOutput } from "../../actors/fold/output-writer.ts";
import { StateSums, stateHash } from "../../actors/fold/state-hash.ts";
import { waitingCalls } from "../../actors/fold/stored-calls.ts";
import { type Job, lineageOf } from "../../actors/model/job.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { systemClock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { beginningState } from "../generations/beginning-state.ts";
import type { OutputStream } from "../outputs/output-stream.ts";
import { primitives } from "../primitives.ts";
import { noCrashMarks } from "../shard/crash-marks.ts";
import { Shard } from "../shard/shard.ts";
import { openLmdbStore } from "../store/lmdb-store.ts";
import { committed, type ShardStore } from "../store/shard-store.ts";
import { type AnsweredAnew, type AnsweringParts, AnsweringSource } from "./answered-anew.ts";
import { DiscardedOutputs } from "./discarded-outputs.ts";
import type { Compared, OutputComparison } from "./output-comparison.ts";
import { type EntrySource, type Gate, ReplayedLog, type ReplayedRange } from "./replayed-log.ts";

export interface ShardReplayParts {
  /** Of the shadow: its name, its origin's name, the build that folds. */
  readonly job: Job;
  readonly partition: number;
  readonly partitions: number;
  readonly identity: CodeIdentity;
  readonly guard: Guard;
  readonly source: EntrySource;
  /** First sequence of the history, or of what the restored state has not. */
  readonly historyFrom: number;
  /** Puts the state to begin with into an empty store. */
  readonly restore: ((store: ShardStore) => Promise<void>) | undefined;
  /** What ends the part before the range, of a fold that begins at `from`. `undefined`: nothing lies before it. */
  readonly silent: (from: number) => RangeEnd | undefined;
  readonly end: RangeEnd;
  /** Units of the origin that took a process down. */
  readonly skips: ReadonlyMap<string, string>;
  /** `undefined`: nothing is published. */
  readonly outputs: OutputStream | undefined;
  /** Asked for when the silent part is folded; `from`: the first entry of the range. */
  readonly compare: ((from: number, readUpTo: () => number) => Promise<OutputComparison | undefined>) | undefined;
  /** How calls to models are answered of which the record has no answer. `undefined`: they are not. */
  readonly models: ReplayedModels | undefined;
  /** Empty, for the state. */
  readonly folder: string;
  readonly notice: (message: string) => void;
}

export interface ReplayedModels {
  /** Versions in place of those that were in force, by model. */
  readonly champions: ReadonlyMap<string, ActivatedVersion>;
  readonly ask: AnsweringParts["ask"];
}

export interface RangeEnd {
  /** Behind the last sequence: everything. */
  readonly last: number;
  readonly untilLogTime?: number;
}

/** Plain, for it crosses threads. */
export interface ShardReplayed {
  readonly partition: number;
  /** The first and the last position of the range; `null` when it is empty. */
  readonly from: string | null;
  readonly to: string | null;
  /** Entries, those of the silent part included. */
  readonly entries: number;
  readonly counts: Counts;
  readonly outputs: number;
  /** By type. */
  readonly types: Readonly<Record<string, number>>;
  readonly stateHash: string | null;
  /** Calls that no recorded result answers, and the first of them. */
  readonly unanswered: number;
  readonly unansweredCalls: readonly string[];
  /** Of calls to models; `null` when none was to be made. */
  readonly models: AnsweredAnew | null;
  readonly compared: Compared | null;
  /** It was asked to stop before the end. */
  readonly stopped: boolean;
}

export interface ShardProgress {
  readonly partition: number;
  readonly stage: "restoring" | "silent" | "replaying";
  readonly entries: number;
  readonly events: number;
  readonly sequence: number;
}

const ALWAYS_OPEN: Gate = { open: true, async changed() {} };
const TYPES_MAX = 1_000;
const CALLS_SHOWN = 5;
/** Behind every sequence of a log. */
const ROOT_SEQUENCE = 2 ** 50;

export class ShardReplay {
  readonly #parts: ShardReplayParts;
  readonly #root: Epoch;
  readonly #types = new Map<string, number>();
  readonly #answering: AnsweringSource | undefined;
  #stage: ShardProgress["stage"] = "restoring";
  #log: ReplayedLog | undefined;
  #shard: Shard | undefined;
  #entriesBefore = 0;
  #stopping = false;

  constructor(parts: ShardReplayParts) {
    this.#parts = parts;
    this.#root = { ...parts.identity, sequence: ROOT_SEQUENCE };
    const { models, source, job, partition } = parts;
    if (models === undefined) return;
    const callAt = (address: CallAddress): CallRecord | undefined => this.#shard?.fold.waitingCall(address);
    const term = (): number | undefined => this.#shard?.fold.meta.owner?.term;
    this.#answering = new AnsweringSource(source, { job: lineageOf(job), log: job.log, partition, callAt, term, ask: models.ask });
  }

  stop(): void {
    this.#stopping = true;
  }

  get progress(): ShardProgress {
    const meta = this.#shard?.fold.meta;
    return {
      partition: this.#parts.partition,
      stage: this.#stage,
      entries: this.#entriesBefore + (this.#log?.entries ?? 0),
      events: meta?.counts.in ?? 0,
      sequence: meta?.last.sequence ?? 0,
    };
  }

  /** Throws SHADOW_DIVERGED, LOG_TRIMMED, STATE_FORMAT, or what halts a shard. */
  async run(): Promise<ShardReplayed> {
    const { restore, folder } = this.#parts;
    const store = openLmdbStore(folder);
    try {
      if (restore !== undefined) {
        await restore(store);
        await this.#begin(store);
      }
      const silent = this.#parts.silent(this.#beginsAt(store));
      if (silent !== undefined) {
        this.#stage = "silent";
        await this.#fold(store, silent, new DiscardedOutputs("discarded"), ALWAYS_OPEN, () => {});
        await this.#begin(store);
      }
      this.#stage = "replaying";
      return await this.#replay(store);
    } finally {
      await store.close();
    }
  }

  async #replay(store: ShardStore): Promise<ShardReplayed> {
    const { end, compare, outputs, job } = this.#parts;
    const from = this.#beginsAt(store);
    let read = (): number => from - 1;
    const comparison = this.#stopping ? undefined : await compare?.(from, () => read());
    read = () => this.#shard?.fold.meta.last.sequence ?? from - 1;
    const taken = (given: readonly NumberedOutput[]): void => {
      this.#count(given);
      comparison?.replayed(given);
    };
    try {
      await this.#fold(store, end, outputs ?? new DiscardedOutputs(job.name), comparison ?? ALWAYS_OPEN, taken);
    } catch (error) {
      await comparison?.abandon();
      throw error;
    }
    const compared = this.#stopping ? await comparison?.abandon() : await comparison?.end();
    return this.#result(store, from, compared ?? null);
  }

  async #fold(store: ShardStore, end: RangeEnd, outputs: OutputStream, gate: Gate, taken: (given: readonly NumberedOutput[]) => void) {
    const { job, partition, partitions, identity, guard, source, skips, notice, models } = this.#parts;
    const range: ReplayedRange = { ...end, from: this.#parts.historyFrom, root: this.#root };
    this.#entriesBefore += this.#log?.entries ?? 0;
    const log = new ReplayedLog(this.#answering ?? source, range, gate);
    this.#log = log;
    const shard = await Shard.start({
      job,
      partition,
      partitions,
      identity,
      profile: "production",
      node: "replay",
      log,
      store,
      outputs,
      marks: noCrashMarks,
      skips,
      guard,
      ...(models === undefined ? {} : { champions: models.champions }),
      clock: systemClock,
      role: "owner",
      ownerToken: randomBytes(16).toString("hex"),
      notice,
      onOutputs: taken,
      otherOwner: async () => undefined,
      deleteOutputs: async () => {},
      clearState: async () => {},
    }).catch((error: unknown) => this.#explained(error));
    this.#shard = shard;
    await shard.run(() => {
      const folded = log.ended && shard.lag === 0 && !shard.fold.inEntry;
      if (folded || this.#stopping) shard.stop();
    });
    if (shard.error !== undefined) this.#explained(shard.error);
    if (!this.#stopping && shard.stored > shard.fold.meta.outputs) {
      throw this.#diverged(`it holds ${shard.stored} outputs, this replay gives ${shard.fold.meta.outputs}`);
    }
  }

  #beginsAt(store: ShardStore): number {
    const row = store.get(META_ROW);
    return row === undefined ? this.#parts.historyFrom : readMeta(row)!.cursor.sequence;
  }

  /** State that another fold has left becomes the beginning of this one, with outputs of its own from the first on. */
  async #begin(store: ShardStore): Promise<void> {
    const row = store.get(META_ROW);
    if (row === undefined) return;
    const meta = readMeta(row);
    if (meta === undefined) throw new TidemarkError("STATE_FORMAT", `The state to begin with has format ${row[0]}.`);
    const value = beginningState(meta, this.#root);
    const sums = store.get(SUMS_ROW);
    const hash = stateHash(sums === undefined ? new StateSums() : StateSums.read(sums), META_ROW, value, primitives);
    const changes = [
      { key: META_ROW, value },
      { key: HASH_ROW, value: primitives.encodeUtf8(hash) },
    ];
    await committed(
      store,
      changes.sort((a, b) => (a.key < b.key ? -1 : 1)),
    );
  }

  #count(outputs: readonly NumberedOutput[]): void {
    for (const { subject } of outputs) {
      const type = typeOf(subject);
      const known = this.#types.get(type);
      if (known === undefined && this.#types.size >= TYPES_MAX) continue;
      this.#types.set(type, (known ?? 0) + 1);
    }
  }

  #result(store: ShardStore, from: number, compared: Compared | null): ShardReplayed {
    const { job, partition } = this.#parts;
    const shard = this.#shard!;
    const { meta } = shard.fold;
    const empty = meta.last.sequence < from;
    return {
      partition,
      from: empty ? null : formatPosition(partition, from, 0),
      to: empty ? null : formatPosition(partition, meta.last.sequence, meta.last.index),
      entries: this.progress.entries,
      counts: meta.counts,
      outputs: meta.outputs,
      types: Object.fromEntries([...this.#types].sort()),
      stateHash: shard.stateHash ?? null,
      unanswered: meta.calls,
      unansweredCalls: firstCalls(job, partition, meta, store),
      models: this.#answering?.answered ?? null,
      compared,
      stopped: this.#stopping,
    };
  }

  #explained(error: unknown): never {
    if (isTidemarkError(error, "OUTPUT_DIVERGED")) throw this.#diverged(error.detail.replace(/\.$/, ""), error);
    throw error;
  }

  #diverged(detail: string, cause?: unknown): TidemarkError {
    const { job, partition } = this.#parts;
    return new TidemarkError("SHADOW_DIVERGED", `${job.name}/${partition}: ${detail}.`, { cause });
  }
}

function firstCalls(job: Job, partition: number, meta: Meta, store: ShardStore): string[] {
  const ids: string[] = [];
  if (meta.calls === 0) return ids;
  for (const call of waitingCalls(store)) {
    if (ids.length >= CALLS_SHOWN) break;
    ids.push(callId(jobAt(job, meta, call.address.sequence), partition, call));
  }
  return ids;
}

/** `<job>.out.<p>.<key>.<type>`: a key has no dots, a type may. */
function typeOf(subject: string): string {
  let at = -1;
  for (let dots = 0; dots < 4; dots++) at = subject.indexOf(".", at + 1);
  return subject.slice(at + 1);
}
