/**
 * One key looked at while its shard's past is folded: the items of it, and, when asked for, its state before and after
 * each. State is read from committed rows, so the fold commits behind each unit that concerned the key, and only those.
 */
import type { Job } from "../../actors/model/job.ts";
import { ActorRows } from "../node/actor-record.ts";
import type { ShardStore } from "../store/shard-store.ts";
import type { HistoricFold, StepBounds, StepResult } from "./historic-fold.ts";
import { type HistoricTarget, isBehind } from "./historic-target.ts";
import type { KeyItem } from "./key-item.ts";
import { KeyWatch, type NotedRecord, type WatchedKey, type WatchNotes } from "./key-watch.ts";
import { changesBetween, type KeyStates } from "./state-changes.ts";

/** Before and behind the unit that wrote an output. */
export interface StatesAround {
  readonly before: KeyStates;
  readonly after: KeyStates;
}

/** What a look has come to, for the one that goes on behind it in another thread. */
export interface LookNotes {
  readonly token: string;
  readonly watch: WatchNotes;
  readonly states: boolean;
  readonly wanted: number | undefined;
  readonly around: StatesAround | undefined;
}

/** Of items at one position: beyond so many more than wanted the rest is left for later all the same. */
const OVER_MAX = 1_000;
/** Bytes of the entries whose results are among the items of one piece: beyond it the piece ends early. */
export const PIECE_BYTES_MAX = 16 * 1024 * 1024;

export class KeyLook {
  readonly #fold: HistoricFold;
  readonly #watch: KeyWatch;
  readonly #rows: ActorRows;
  readonly #job: Job;
  readonly #token: string;
  /** Behind the last item; `undefined` while states are not asked for. */
  #states: KeyStates | undefined;
  #noted = 0;
  /** Since the fold was at rest: bytes of results, and the last item. */
  #bytes = 0;
  #last: KeyItem | undefined;
  /** Number of the output whose unit is wanted. */
  #wanted: number | undefined;
  around: StatesAround | undefined;
  /** The last entry before the look. */
  readonly since: number;

  private constructor(fold: HistoricFold, store: ShardStore, job: Job, key: WatchedKey, before: LookNotes | undefined) {
    this.#fold = fold;
    this.#watch = new KeyWatch(key, before?.watch);
    this.#rows = new ActorRows(job, store);
    this.#job = job;
    this.#token = key.token;
    this.since = fold.meta.last.sequence;
  }

  /** The fold is at rest, and looked at from there on; `before`: by whoever looked at it up to there. */
  static async begin(fold: HistoricFold, store: ShardStore, job: Job, key: WatchedKey, before?: LookNotes): Promise<KeyLook> {
    const look = new KeyLook(fold, store, job, key, before);
    look.#watch.fold = fold;
    await fold.observe({ observer: look.#watch, calls: look.#watch, betweenUnits: () => look.#betweenUnits() });
    if (before?.states === true) look.showStates(before.wanted);
    look.around = before?.around;
    return look;
  }

  /** From here on with states; `output`: its unit's are kept whole. The fold is at rest. */
  showStates(output?: number): void {
    this.#states = this.#read();
    this.#wanted = output;
  }

  /** The fold is at rest, and nothing is left to take. */
  get notes(): LookNotes {
    const { notes } = this.#watch;
    return { token: this.#token, watch: notes, states: this.#states !== undefined, wanted: this.#wanted, around: this.around };
  }

  /** As HistoricFold.step; it also rests behind `itemsMax` items, or as many as are large, when nothing more can come at their position. */
  async step(target: HistoricTarget, bounds: StepBounds, itemsMax: number): Promise<{ result: StepResult; items: readonly KeyItem[] }> {
    const { items } = this.#watch;
    const enough = (): boolean => {
      const last = items.length < itemsMax && this.#bytes < PIECE_BYTES_MAX ? undefined : this.#last;
      return last !== undefined && (isBehind(this.#fold.meta.cursor, last) || items.length >= itemsMax + OVER_MAX);
    };
    const result = await this.#fold.step(target, { ...bounds, enough });
    this.#noted = 0;
    if (result !== "more") {
      this.#bytes = 0;
      this.#last = undefined;
    }
    return { result, items: items.splice(0) };
  }

  get records(): readonly NotedRecord[] {
    return this.#watch.records;
  }

  async #betweenUnits(): Promise<void> {
    const { items } = this.#watch;
    if (items.length === this.#noted) return;
    this.#noted = items.length;
    this.#last = items.at(-1)!;
    if (this.#last.kind === "result" || this.#last.kind === "redrive") this.#bytes += this.#fold.entry?.payload.length ?? 0;
    const before = this.#states;
    if (before === undefined) return;
    await this.#fold.commit();
    const after = this.#read();
    const item = this.#last;
    items[items.length - 1] = { ...item, changes: changesBetween(before, after) };
    if (item.outputs.some(({ k }) => k === this.#wanted)) this.around = { before, after };
    this.#states = after;
  }

  #read(): KeyStates {
    const { watermark } = this.#fold.meta;
    return Object.fromEntries(
      this.#job.actors.flatMap(({ name }, number) => {
        const record = this.#rows.read(number, this.#token, watermark);
        return record === undefined ? [] : [[name, record.state] as const];
      }),
    );
  }
}
