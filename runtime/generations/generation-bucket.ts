/**
 * The KV bucket `tidemark-generations`. Everything is asked of its leader, and written with compare-and-set.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { TidemarkError } from "../errors.ts";
import { RecordBucket } from "../log/record-bucket.ts";
import type { Replication } from "../log/replication.ts";
import {
  GENERATION_FORMAT,
  type GenerationRecord,
  jobName,
  readGeneration,
  readSwitches,
  SWITCHES_KEPT,
  type Switch,
  type SwitchRecord,
} from "./generation-record.ts";

export const GENERATION_BUCKET = "tidemark-generations";
const GENERATIONS = "generation";
const SWITCHES = "switch";

/** Of a key in the bucket. */
export interface Revised<T> {
  readonly record: T | undefined;
  /** 0 when it was never written; that of the marker when it is gone. */
  readonly revision: number;
}

export class GenerationBucket {
  readonly #records: RecordBucket;

  constructor(nc: NatsConnection) {
    this.#records = new RecordBucket(nc, GENERATION_BUCKET);
  }

  /** Creates the bucket when it is missing. */
  static async open(nc: NatsConnection, replication: Replication): Promise<GenerationBucket> {
    await RecordBucket.open(nc, GENERATION_BUCKET, replication);
    return new GenerationBucket(nc);
  }

  /** Changes whenever anything in the bucket does. */
  async revision(): Promise<number> {
    return await this.#records.revision();
  }

  /** By name. A record that this build cannot read is told of and left out. */
  async generations(notice: (message: string) => void = () => {}): Promise<GenerationRecord[]> {
    return await this.#all(GENERATIONS, readGeneration, notice);
  }

  async switches(notice: (message: string) => void = () => {}): Promise<SwitchRecord[]> {
    return await this.#all(SWITCHES, readSwitches, notice);
  }

  /** By job: what its sinks follow, where it was ever switched. */
  async active(notice: (message: string) => void = () => {}): Promise<Readonly<Record<string, string>>> {
    const all = await this.switches(notice);
    return Object.fromEntries(all.map(({ job, switches }) => [job, switches.at(-1)?.to ?? job]));
  }

  async generation(name: string): Promise<Revised<GenerationRecord>> {
    return await this.#read(`${GENERATIONS}.${name}`, readGeneration);
  }

  /** Gives the new revision. Fails with LOG_CONFLICT when somebody else changed the record. */
  async writeGeneration(record: GenerationRecord, revision: number): Promise<number> {
    return await this.#write(`${GENERATIONS}.${jobName(record)}`, record, revision);
  }

  async deleteGeneration(name: string, revision: number): Promise<void> {
    await this.#records.delete(`${GENERATIONS}.${name}`, revision);
  }

  /** When a generation of that name was dropped or taken back; `undefined` when there was none, or is one. Milliseconds. */
  async goneAt(name: string): Promise<number | undefined> {
    const { payload, at } = await this.#records.read(`${GENERATIONS}.${name}`);
    return payload === undefined ? at : undefined;
  }

  /** Name of the job whose outputs pumps and sinks of `job` follow: its own until it is switched. */
  async activeOf(job: string): Promise<string> {
    const { record } = await this.#read(`${SWITCHES}.${job}`, readSwitches);
    return record?.switches.at(-1)?.to ?? job;
  }

  /**
   * Whether that is the job itself or a generation of it; also one that is gone by now, if it was ever followed. The name alone does
   * not tell: "a-b" may be a job of its own.
   */
  async isOfLineage(name: string, job: string): Promise<boolean> {
    if (name === job) return true;
    if (!name.startsWith(`${job}-`)) return false;
    const { record } = await this.generation(name);
    if (record !== undefined) return record.job === job;
    const followed = await this.#read(`${SWITCHES}.${job}`, readSwitches);
    return followed.record?.switches.some(({ to }) => to === name) === true;
  }

  /** Fails with LOG_CONFLICT when somebody else switched it meanwhile. */
  async switchTo(job: string, next: Switch): Promise<void> {
    const { record, revision } = await this.#read(`${SWITCHES}.${job}`, readSwitches);
    const switches = [...(record?.switches ?? []), next].slice(-SWITCHES_KEPT);
    await this.#write(`${SWITCHES}.${job}`, { format: GENERATION_FORMAT, job, switches } satisfies SwitchRecord, revision);
  }

  async #read<T>(key: string, read: (payload: Uint8Array) => T | undefined): Promise<Revised<T>> {
    const { payload, revision } = await this.#records.read(key);
    if (payload === undefined) return { record: undefined, revision };
    const record = read(payload);
    if (record === undefined) throw new TidemarkError("GENERATION_FORMAT", `The key ${key} of ${GENERATION_BUCKET} cannot be read.`);
    return { record, revision };
  }

  async #write(key: string, record: object, revision: number): Promise<number> {
    return await this.#records.write(key, record, revision);
  }

  async #all<T>(kind: string, read: (payload: Uint8Array) => T | undefined, notice: (message: string) => void): Promise<T[]> {
    const found: T[] = [];
    for (const key of await this.#records.keys(kind)) {
      try {
        const { record } = await this.#read(key, read);
        if (record !== undefined) found.push(record);
      } catch (error) {
        if (!(error instanceof TidemarkError) || error.code !== "GENERATION_FORMAT") throw error;
        notice(error.message);
      }
    }
    return found;
  }
}
