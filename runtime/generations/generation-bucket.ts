/**
 * The KV bucket `tidemark-generations`. Everything is asked of its leader, and written with compare-and-set.
 */
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { TidemarkError } from "../errors.ts";
import { askStream, messageOf, storedMessage, streamInfo } from "../log/jetstream-api.ts";
import { appendAcknowledged } from "../log/publish-ack.ts";
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
const STREAM = `KV_${GENERATION_BUCKET}`;
const GENERATIONS = "generation";
const SWITCHES = "switch";

/** Of a key in the bucket. */
export interface Revised<T> {
  readonly record: T | undefined;
  /** 0 when it was never written; that of the marker when it is gone. */
  readonly revision: number;
}

export class GenerationBucket {
  readonly #nc: NatsConnection;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  /** Creates the bucket when it is missing. */
  static async open(nc: NatsConnection, replicas: number): Promise<GenerationBucket> {
    try {
      await new Kvm(jetstream(nc, { checkAPI: false })).create(GENERATION_BUCKET, { history: 1, replicas });
    } catch (error) {
      throw new TidemarkError("NATS_UNREACHABLE", `The bucket ${GENERATION_BUCKET} cannot be opened: ${messageOf(error)}.`, {
        cause: error,
      });
    }
    return new GenerationBucket(nc);
  }

  /** Changes whenever anything in the bucket does. */
  async revision(): Promise<number> {
    return (await streamInfo(this.#nc, STREAM)).state.last_seq;
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
    const headers = new Map([["KV-Operation", "DEL"]]);
    const request = { stream: STREAM, headers, expectedLastSubjectSequence: revision };
    await appendAcknowledged(this.#nc, subjectOf(`${GENERATIONS}.${name}`), new Uint8Array(0), request);
  }

  /** When a generation of that name was dropped or taken back; `undefined` when there was none, or is one. Milliseconds. */
  async goneAt(name: string): Promise<number | undefined> {
    const message = await storedMessage(this.#nc, STREAM, { last_by_subj: subjectOf(`${GENERATIONS}.${name}`) });
    return message?.headers?.has("kv-operation") === true ? message.logTime : undefined;
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
    const message = await storedMessage(this.#nc, STREAM, { last_by_subj: subjectOf(key) });
    if (message === undefined) return { record: undefined, revision: 0 };
    const { sequence: revision, headers, payload } = message;
    if (headers?.has("kv-operation") === true) return { record: undefined, revision };
    const record = read(payload);
    if (record === undefined) throw new TidemarkError("GENERATION_FORMAT", `The key ${key} of ${GENERATION_BUCKET} cannot be read.`);
    return { record, revision };
  }

  async #write(key: string, record: object, revision: number): Promise<number> {
    const payload = Buffer.from(JSON.stringify(record));
    return await appendAcknowledged(this.#nc, subjectOf(key), payload, { stream: STREAM, expectedLastSubjectSequence: revision });
  }

  async #all<T>(kind: string, read: (payload: Uint8Array) => T | undefined, notice: (message: string) => void): Promise<T[]> {
    const filter = { subjects_filter: subjectOf(`${kind}.>`) };
    const { state } = await askStream<{ readonly state: { readonly subjects?: Readonly<Record<string, number>> } }>(
      this.#nc,
      STREAM,
      `STREAM.INFO.${STREAM}`,
      filter,
    );
    const found: T[] = [];
    for (const subject of Object.keys(state.subjects ?? {}).sort()) {
      try {
        const { record } = await this.#read(subject.slice(subjectOf("").length), read);
        if (record !== undefined) found.push(record);
      } catch (error) {
        if (!(error instanceof TidemarkError) || error.code !== "GENERATION_FORMAT") throw error;
        notice(error.message);
      }
    }
    return found;
  }
}

function subjectOf(key: string): string {
  return `$KV.${GENERATION_BUCKET}.${key}`;
}
