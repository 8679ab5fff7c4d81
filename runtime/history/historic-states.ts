/**
 * The states of shards as of moments of the past that one history thread holds: each in a scratch environment of its own,
 * folded forward with the one build of the app that the thread has loaded.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Guard } from "../../actors/fold/fold-options.ts";
import { referenceRow, referenceVersionRow } from "../../actors/fold/keys.ts";
import { type Epoch, STATE_FORMAT } from "../../actors/fold/meta.ts";
import { readData, readSteps } from "../../actors/fold/reference-state.ts";
import { type FoldSettings, type Job, withSettings } from "../../actors/model/job.ts";
import { readKey } from "../../actors/model/key.ts";
import { type App, identityOf } from "../app.ts";
import { TidemarkError } from "../errors.ts";
import { jobNamed } from "../generations/generation-record.ts";
import { ActorRows } from "../node/actor-record.ts";
import { type ActorReport, actorReport } from "../node/actor-report.ts";
import { wholeLogOf } from "../results/whole-log.ts";
import { readEpochPlan } from "../shard/epochs.ts";
import { SkipList } from "../shard/skips.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import type { BlobPlace } from "../snapshots/open-catalogue.ts";
import type { SnapshotSource } from "../snapshots/snapshot-source.ts";
import { openLmdbStore } from "../store/lmdb-store.ts";
import type { ShardStore } from "../store/shard-store.ts";
import { HistoricFold, type StepResult } from "./historic-fold.ts";
import { type HistoricPlace, type HistoricTarget, lastFolded } from "./historic-target.ts";
import type { KeyItem } from "./key-item.ts";
import { KeyLook, type LookNotes, type StatesAround } from "./key-look.ts";

/** A shard whose past is asked for, and the scratch environment that its state of then lies in. */
export interface HistoricShard {
  readonly id: string;
  readonly job: string;
  readonly partition: number;
  readonly partitions: number;
  readonly folder: string;
}

export interface HistoricStand extends HistoricPlace {
  readonly epoch: Epoch;
  /** Of the history that it belongs to. */
  readonly epochRoot: number;
}

export interface HistoricStep {
  readonly result: StepResult;
  /** Entries folded by this step. */
  readonly folded: number;
  /** `undefined` while another step is needed: then nothing is at rest. */
  readonly stand: HistoricStand | undefined;
  /** Of the key that is looked at, in order. */
  readonly items: readonly KeyItem[];
}

export interface HistoricCode {
  readonly app: App;
  /** Of the node: they take the place of the job's own where no epoch says otherwise. */
  readonly settings: Partial<FoldSettings>;
  readonly guard: Guard;
}

interface Opened {
  readonly shard: HistoricShard;
  readonly job: Job;
  readonly store: ShardStore;
  readonly fold: HistoricFold;
  look: KeyLook | undefined;
}

/** What is known of one of the reference records that a key has looked up. */
export interface RecordFact {
  readonly table: string;
  readonly id: string;
  readonly version: number;
  /** Entry that brought it. */
  readonly sequence: number;
  readonly effectiveFrom: number;
  /** `null` where the record ends. */
  readonly data: unknown;
}

const STEP_ENTRIES = 20_000;
const STEP_MS = 100;

export class HistoricStates {
  readonly #code: HistoricCode;
  readonly #nc: NatsConnection;
  readonly #source: SnapshotSource;
  readonly #results: () => Promise<BlobPlace>;
  readonly #opened = new Map<string, Opened>();

  /** `results`: where large results lie; see {@link resultPlace}. */
  constructor(code: HistoricCode, nc: NatsConnection, source: SnapshotSource, results: () => Promise<BlobPlace>) {
    this.#code = code;
    this.#results = results;
    this.#nc = nc;
    this.#source = source;
  }

  /** Those that this build can begin with. Throws SNAPSHOT_STORE. */
  async snapshots(job: string, partition: number): Promise<readonly ShardManifest[]> {
    const found = await this.#source.ofShard(job, partition);
    return found.filter(({ stateFormat }) => stateFormat === STATE_FORMAT);
  }

  /**
   * Opens the environment: what it holds, the rows of a snapshot, or the beginning of the shard's history. Throws
   * SNAPSHOT_DAMAGED, SNAPSHOT_MISSING, SNAPSHOT_STORE, CODE_UNAVAILABLE, or what keeps the log from being read.
   */
  async begin(shard: HistoricShard, base?: ShardManifest): Promise<HistoricStand> {
    const { app, settings, guard } = this.#code;
    const declared = jobNamed(app.jobs, shard.job);
    if (declared === undefined) throw new TidemarkError("CODE_UNAVAILABLE", `This build has no job "${shard.job}".`);
    const job = withSettings(declared, settings);
    const { partition, partitions } = shard;
    const log = wholeLogOf(this.#nc, job, partition, this.#results);
    const skips = await new SkipList(this.#nc, job.name, partition).read();
    const begin = () => readEpochPlan(log, job.log, partition, job.name);
    const store = openLmdbStore(shard.folder);
    try {
      if (base !== undefined) await this.#source.restore(base, store);
      const identity = identityOf(job, app.codeHash);
      const fold = await HistoricFold.open({ job, partition, partitions, identity, log, store, begin, skips, guard });
      this.#opened.set(shard.id, { shard, job, store, fold, look: undefined });
      return standOf(fold);
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** One step towards the target; entries from `end` on are not begun. */
  async step(id: string, target: HistoricTarget, end: number, itemsMax = Number.POSITIVE_INFINITY): Promise<HistoricStep> {
    const { fold, look } = this.#find(id);
    const before = fold.folded;
    const bounds = { end, entriesMax: STEP_ENTRIES, msMax: STEP_MS };
    const { result, items } =
      look === undefined ? { result: await fold.step(target, bounds), items: [] } : await look.step(target, bounds, itemsMax);
    return { result, items, folded: fold.folded - before, stand: result === "more" ? undefined : standOf(fold) };
  }

  /** From here on a key is looked at, or with no token none; `before`: by whoever folded up to here. The state is at rest. */
  async look(id: string, token: string | undefined, before?: LookNotes): Promise<void> {
    const opened = this.#find(id);
    const { fold, store, shard } = opened;
    opened.look = undefined;
    if (token === undefined) await fold.observe(undefined);
    else opened.look = await KeyLook.begin(fold, store, opened.job, { job: shard.job, partition: shard.partition, token }, before);
  }

  /** Of the key that is looked at, if any. */
  notes(id: string): LookNotes | undefined {
    return this.#find(id).look?.notes;
  }

  /** From here on with its states; around the unit that writes the output `k`, if given, whole. */
  showStates(id: string, k: number | undefined): void {
    this.#find(id).look!.showStates(k);
  }

  around(id: string): StatesAround | undefined {
    return this.#find(id).look?.around;
  }

  /**
   * Every version, as of here, of the records that are named `<table>:<written id>`, in the order in which they came. Those
   * that were there when the look began stand before all others: what the key's handlers find, they have been given.
   */
  records(id: string, names: readonly string[]): readonly RecordFact[] {
    const { look, store } = this.#find(id);
    if (look === undefined) return [];
    const known = names.flatMap((name) => recordsOf(store, name));
    const noted = new Map(look.records.map(({ table, id: record, version, sequence }) => [`${table}:${version}:${record}`, sequence]));
    const facts = known.map((fact) => ({ ...fact, sequence: noted.get(`${fact.table}:${fact.version}:${fact.id}`) ?? look.since }));
    return facts.sort((a, b) => a.sequence - b.sequence);
  }

  /** Of a state at rest; `undefined` when the key has no such actor. */
  actor(id: string, type: string, token: string): ActorReport | undefined {
    const { shard, job, store, fold } = this.#find(id);
    const rows = new ActorRows(job, store);
    const number = rows.numberOf(type);
    const { watermark, epoch } = fold.meta;
    const record = number === undefined ? undefined : rows.read(number, token, watermark);
    if (record === undefined) return undefined;
    return actorReport(shard, { ...job, settings: epoch.settings }, record, {
      last: lastFolded(fold.meta),
      watermark,
      epochRoot: fold.meta.epochRoot,
    });
  }

  /** Commits what is folded and closes the environment; the state stays in its folder. */
  async close(id: string): Promise<void> {
    const found = this.#opened.get(id);
    this.#opened.delete(id);
    await found?.fold.rest();
    await found?.store.close();
  }

  async closeAll(): Promise<void> {
    for (const id of [...this.#opened.keys()]) await this.close(id);
  }

  #find(id: string): Opened {
    const found = this.#opened.get(id);
    if (found === undefined) throw new Error(`the historic state ${id} is not open`);
    return found;
  }
}

/** The versions of a record as of here, ascending; where they came is not known of them. */
function recordsOf(store: ShardStore, name: string): Omit<RecordFact, "sequence">[] {
  const cut = name.indexOf(":");
  const table = name.slice(0, cut);
  const token = name.slice(cut + 1);
  const row = store.get(referenceRow(table, token));
  const record = readKey(token);
  if (row === undefined || record === undefined) return [];
  const steps = [...readSteps(row)].sort((a, b) => a.version - b.version);
  return steps.map(({ version, ended, effectiveFrom }) => {
    const data = ended ? null : readData(store.get(referenceVersionRow(table, token, version))!);
    return { table, id: record, version, effectiveFrom, data };
  });
}

function standOf({ meta }: HistoricFold): HistoricStand {
  const { cursor, last, watermark, processingTime, epoch, epochRoot } = meta;
  return { cursor, last, watermark, processingTime, epoch, epochRoot };
}
