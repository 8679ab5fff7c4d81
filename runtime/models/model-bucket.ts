/**
 * The registry of models: every version of each in the KV bucket `tidemark-models`, under `<name>.<version>`. A version
 * never changes once it was put; put again it is found, so whoever got no answer puts it again.
 */

import type { NatsConnection } from "@nats-io/transport-node";
import { canonicalJson } from "../../actors/fold/canonical.ts";
import { MODEL_FORMAT, type ModelDraft, type ModelRecord, readModelRecord } from "../../inference/model-record.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { RecordBucket } from "../log/record-bucket.ts";
import type { Replication } from "../log/replication.ts";

const MODEL_BUCKET = "tidemark-models";
/** Writers that are quicker, one after the other. */
const TRIES = 20;

/** Of the content that a version is of, or of how it is served. */
export interface ModelContent {
  readonly sha256: string;
  readonly bytes: number;
}

export class ModelBucket {
  readonly #nc: NatsConnection;
  readonly #replication: Replication;
  #opened: Promise<RecordBucket> | undefined;

  constructor(nc: NatsConnection, replication: Replication) {
    this.#nc = nc;
    this.#replication = replication;
  }

  /** Created, when it is missing, with the first question: most jobs call no model. */
  #records(): Promise<RecordBucket> {
    this.#opened ??= RecordBucket.open(this.#nc, MODEL_BUCKET, this.#replication).catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  /** Names of all models, sorted. */
  async names(): Promise<string[]> {
    const keys = await (await this.#records()).keys("");
    return [...new Set(keys.flatMap((key) => versionOf(key)?.name ?? []))].sort();
  }

  /** `undefined` when there is none. Fails with MODEL_FORMAT when a later Tidemark wrote it. */
  async get(name: string, version: number): Promise<ModelRecord | undefined> {
    const { payload } = await (await this.#records()).read(`${name}.${version}`);
    if (payload === undefined) return undefined;
    const record = readModelRecord(payload);
    if (record === undefined) throw new TidemarkError("MODEL_FORMAT", `Version ${version} of the model "${name}" cannot be read.`);
    return record;
  }

  /** Oldest first, those left out that a later Tidemark wrote. */
  async versions(name: string): Promise<ModelRecord[]> {
    return await this.#readable(name, await this.#numbers(name));
  }

  /** The next version, unless one is there already that is the same in all. */
  async put(name: string, draft: ModelDraft, content: ModelContent): Promise<{ readonly record: ModelRecord; readonly written: boolean }> {
    const { sha256, bytes: contentBytes } = content;
    for (let attempt = 1; ; attempt++) {
      const numbers = await this.#numbers(name);
      const found = (await this.#readable(name, numbers)).find((record) => isSame(record, draft, content));
      if (found !== undefined) return { record: found, written: false };
      const version = (numbers.at(-1) ?? 0) + 1;
      const record: ModelRecord = { format: MODEL_FORMAT, name, version, sha256, contentBytes, ...draft };
      try {
        await (await this.#records()).write(`${name}.${version}`, record, 0);
        return { record, written: true };
      } catch (error) {
        if (!isTidemarkError(error, "LOG_CONFLICT") || attempt === TRIES) throw error;
      }
    }
  }

  /** The version that is the same in all. */
  async find(name: string, draft: ModelDraft, content: ModelContent): Promise<ModelRecord | undefined> {
    return (await this.versions(name)).find((record) => isSame(record, draft, content));
  }

  async #readable(name: string, numbers: readonly number[]): Promise<ModelRecord[]> {
    const records: ModelRecord[] = [];
    for (const version of numbers) {
      const record = await this.get(name, version).catch((error: unknown) => {
        if (isTidemarkError(error, "MODEL_FORMAT")) return undefined;
        throw error;
      });
      if (record !== undefined) records.push(record);
    }
    return records;
  }

  async #numbers(name: string): Promise<number[]> {
    const keys = await (await this.#records()).keys(name);
    // "a.b.1" is of the model "a.b", and none of "a".
    return keys.flatMap((key) => (versionOf(key)?.name === name ? versionOf(key)!.version : [])).sort((a, b) => a - b);
  }
}

function isSame(record: ModelRecord, draft: ModelDraft, { sha256 }: ModelContent): boolean {
  return record.sha256 === sha256 && canonicalJson(draftOf(record)) === canonicalJson(draft);
}

function draftOf(record: ModelRecord): ModelDraft {
  const { format: _format, name: _name, version: _version, sha256: _sha256, contentBytes: _bytes, ...draft } = record;
  return draft;
}

function versionOf(key: string): { readonly name: string; readonly version: number } | undefined {
  const parts = /^(?<name>.+)\.(?<version>[1-9]\d{0,9})$/.exec(key)?.groups;
  return parts === undefined ? undefined : { name: parts.name!, version: Number(parts.version) };
}
