/**
 * Models as an operator sees them: versions in the registry, their contents, and what is in force of each in the logs
 * that call it. The registry says what there is; only an entry of a log puts a version in force there.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { type ActivatedVersion, MODEL_TABLE, type ModelActivation } from "../../actors/fold/activated-models.ts";
import { canonicalJson } from "../../actors/fold/canonical.ts";
import type { Job } from "../../actors/model/job.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { InferenceError } from "../../inference/failures.ts";
import { type DescribedModel, MODEL_NAME, type ModelDraft, type ModelRecord, readModelDraft } from "../../inference/model-record.ts";
import { readModel } from "../../inference/onnx/model-structure.ts";
import { planServing } from "../../inference/onnx/serving-plan.ts";
import { originFault, type SecretOrigins } from "../../inference/secrets/secret-origins.ts";
import type { FoundModel, ModelSource } from "../../inference/service/model-source.ts";
import { systemClock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import { primitives } from "../primitives.ts";
import { modelsOf } from "../reference/activation.ts";
import { NatsReferenceLog } from "../reference/reference-log.ts";
import { putRecord, readRecords, type StoredRecord } from "../reference/reference-writer.ts";
import type { ModelBucket, ModelContent } from "./model-bucket.ts";
import type { ModelContents } from "./model-contents.ts";

export interface ModelsParts {
  readonly nc: NatsConnection;
  readonly bucket: ModelBucket;
  readonly contents: ModelContents;
  /** Those that run here. */
  readonly jobs: () => readonly Job[];
  /** Where secrets may go, so that no version is put that none may go to the server of. */
  readonly secretOrigins: SecretOrigins;
  /** Creates the stream of a log's reference data when it is missing. */
  readonly ensureReference: (log: string) => Promise<void>;
}

/** A change of what is in force; what is left out stays as it is. */
export interface ModelChange {
  readonly champion?: number;
  /** `null`: none any more. */
  readonly challenger?: { readonly version: number; readonly share: number } | null;
  /** RFC 3339; without it that of the record in force, so that the new one takes its place. */
  readonly effectiveFrom?: string;
}

export interface ModelInLog {
  readonly log: string;
  /** `undefined` where none is in force. */
  readonly activation: ModelActivation | undefined;
  /** Version of the record in the log that says so; 0 where none does. */
  readonly record: number;
}

export interface Activated extends ModelInLog {
  readonly activation: ModelActivation;
  /** In `<log>-reference`. */
  readonly sequence: number;
  readonly written: boolean;
}

/** Of the first record of a model: from the beginning of time. */
const EVER = "0000-01-01T00:00:00.000Z";
/** The registry's keys are subjects, which have no empty token. */
const EMPTY_TOKEN = /\.(?:\.|$)/;
/** Records of one model in one log. */
const RECORDS_MAX = 1_000;

export class Models implements ModelSource {
  readonly #parts: ModelsParts;

  constructor(parts: ModelsParts) {
    this.#parts = parts;
  }

  /** Of all models that are registered, or called by a job that runs here. */
  async names(): Promise<string[]> {
    return [...new Set([...(await this.#parts.bucket.names()), ...modelsOf(this.#parts.jobs())])].sort();
  }

  /** Oldest first. */
  versions(name: string): Promise<ModelRecord[]> {
    return this.#parts.bucket.versions(name);
  }

  /**
   * Registers a version, unless it is there already, the same in all. `content`: of an `onnx` model, and of no other; it
   * is read, and not run. Throws MODEL_INVALID, MODEL_CONTENT when it was not kept whole, SNAPSHOT_STORE, NATS_UNREACHABLE.
   */
  async put(
    name: string,
    described: unknown,
    content: Uint8Array | undefined,
  ): Promise<{ readonly record: ModelRecord; readonly written: boolean }> {
    const draft = await this.#checked(name, described, content);
    const { bucket, contents } = this.#parts;
    if (content !== undefined) await contents.put(content);
    return await bucket.put(name, draft, contentOf(draft, content));
  }

  /**
   * As `put`, of what comes with each start of an app: a content that is registered, and of which every piece is there,
   * is neither written again nor read back. Who wants one mended puts it.
   */
  async ship(name: string, described: unknown, content: Uint8Array | undefined): Promise<ModelRecord> {
    const draft = await this.#checked(name, described, content);
    const { bucket, contents } = this.#parts;
    const of = contentOf(draft, content);
    const record = await bucket.find(name, draft, of);
    if (record !== undefined && (content === undefined || (await contents.has(of.sha256, of.bytes)))) return record;
    if (content !== undefined) await contents.put(content);
    return (await bucket.put(name, draft, of)).record;
  }

  async #checked(name: string, described: unknown, content: Uint8Array | undefined): Promise<ModelDraft> {
    if (!MODEL_NAME.test(name) || EMPTY_TOKEN.test(name))
      throw invalid(name, `a name matches ${MODEL_NAME}, without two dots in a row or one at the end`);
    const { sha256, ...members } = (typeof described === "object" && described !== null ? described : {}) as Partial<DescribedModel>;
    const draft = readModelDraft(members);
    if (typeof draft === "string") throw invalid(name, draft);
    if (sha256 !== undefined && content !== undefined && sha256 !== primitives.sha256(content))
      throw invalid(name, "the content does not have the sha256 that the description says");
    checkContent(name, draft, content);
    this.#checkSecret(name, draft);
    await this.#checkNamed(name, draft);
    return draft;
  }

  /** See {@link ModelSource}. */
  async find(name: string, version: number): Promise<FoundModel | undefined> {
    const record = await this.#parts.bucket.get(name, version).catch((error: unknown) => {
      // A later Tidemark put it: this one has none that it could ask.
      if (isTidemarkError(error, "MODEL_FORMAT")) return undefined;
      throw error;
    });
    if (record === undefined) return undefined;
    if (record.contentBytes === 0) return { record };
    return { record, contentPath: await this.#parts.contents.path(record.sha256, record.contentBytes) };
  }

  /** In each log whose jobs call the model, for an event of this moment. */
  async inForce(name: string): Promise<ModelInLog[]> {
    const found: ModelInLog[] = [];
    for (const log of this.#logsOf(name)) {
      const record = inForceOf(await this.history(log, name));
      found.push({ log, activation: activationOf(record), record: record?.version ?? 0 });
    }
    return found;
  }

  /** For {@link awaitCopies}. */
  partitionsOf(log: string, partitions: number): readonly NatsPartitionLog[] {
    return Array.from({ length: partitions }, (_, partition) => new NatsPartitionLog(this.#parts.nc, log, partition));
  }

  /** What was put in force in a log, oldest first. */
  async history(log: string, name: string): Promise<readonly StoredRecord[]> {
    const place = { log, table: MODEL_TABLE.name, id: name };
    return (await readRecords(new NatsReferenceLog(this.#parts.nc, log), place, 1, RECORDS_MAX)).items;
  }

  /**
   * Puts versions in force in each log whose jobs call the model, or in one. A log where nothing changes is written to all the same
   * only when another record would say something else. Throws MODEL_MISSING for a version that is not registered, or when
   * nobody calls the model; REFERENCE_INVALID, REFERENCE_CONFLICT when somebody else was first.
   */
  async activate(name: string, change: ModelChange, only?: string): Promise<Activated[]> {
    const activated: Activated[] = [];
    for (const log of this.#logsCalling(name, only)) activated.push(await this.#activateIn(log, name, change));
    return activated;
  }

  /** Puts the champion in force that was so before the present one. Throws MODEL_MISSING where there was none, else as `activate`. */
  async rollBack(name: string, change: Omit<ModelChange, "champion">, only?: string): Promise<Activated[]> {
    const activated: Activated[] = [];
    for (const log of this.#logsCalling(name, only)) {
      const history = await this.history(log, name);
      const present = activationOf(inForceOf(history))?.champion.version;
      const champions = begunOf(history).flatMap((record) => activationOf(record)?.champion.version ?? []);
      const champion = champions.findLast((version) => version !== present);
      if (champion === undefined)
        throw new TidemarkError("MODEL_MISSING", `The log ${log} had no other version of "${name}" in force before.`);
      activated.push(await this.#activateIn(log, name, { ...change, champion }));
    }
    return activated;
  }

  async #activateIn(log: string, name: string, change: ModelChange): Promise<Activated> {
    const history = await this.history(log, name);
    const present = inForceOf(history);
    const before = activationOf(present);
    const activation = await this.#changed(name, before, change);
    if (present !== undefined && change.effectiveFrom === undefined && canonicalJson(activation) === canonicalJson(before ?? null))
      return { log, activation, record: present.version, sequence: present.sequence, written: false };
    const record = Math.max(0, ...history.map(({ version }) => version)) + 1;
    await this.#parts.ensureReference(log);
    const { sequence, written } = await putRecord(
      new NatsReferenceLog(this.#parts.nc, log),
      [MODEL_TABLE],
      { log, table: MODEL_TABLE.name, id: name },
      { version: record, effectiveFrom: change.effectiveFrom ?? startOf(present), data: activation },
    );
    return { log, activation, record, sequence: sequence!, written };
  }

  async #changed(name: string, before: ModelActivation | undefined, { champion, challenger }: ModelChange): Promise<ModelActivation> {
    const first = champion === undefined ? before?.champion : await this.#versionOf(name, champion);
    if (first === undefined) throw new TidemarkError("MODEL_MISSING", `No version of "${name}" is in force yet: name its champion.`);
    if (challenger === null) return { champion: first };
    if (challenger !== undefined) {
      return { champion: first, challenger: { ...(await this.#versionOf(name, challenger.version)), share: challenger.share } };
    }
    // One that was promoted challenges nobody.
    const stays = before?.challenger !== undefined && before.challenger.version !== first.version;
    return stays ? { champion: first, challenger: before.challenger! } : { champion: first };
  }

  /** What a version names must be there before it, so no chain of them comes back to where it began. */
  async #checkNamed(name: string, { settings }: ModelDraft): Promise<void> {
    const { fallback, semantic } = settings ?? {};
    for (const [place, named] of [
      ["/settings/fallback", fallback],
      ["/settings/semantic/embedding", semantic?.embedding],
    ] as const) {
      if (named === undefined) continue;
      const record = await this.#parts.bucket.get(named.model, named.version);
      if (record === undefined) throw invalid(name, `${place}: there is no version ${named.version} of "${named.model}"; put it first`);
      if (place !== "/settings/fallback" && record.settings?.semantic !== undefined)
        throw invalid(name, `${place}: version ${named.version} of "${named.model}" has a semantic cache of its own`);
    }
  }

  #checkSecret(name: string, { serving }: ModelDraft): void {
    if (serving.kind === "onnx" || serving.secret === undefined) return;
    const fault = originFault(this.#parts.secretOrigins, serving.secret.name, serving.url);
    if (fault !== undefined) throw invalid(name, `/serving/secret: ${fault}`);
  }

  async #versionOf(name: string, version: number): Promise<ActivatedVersion> {
    const record = await this.#parts.bucket.get(name, version);
    if (record === undefined) throw new TidemarkError("MODEL_MISSING", `The model "${name}" has no version ${version}.`);
    const { sha256, minConfidence } = record;
    return { version, sha256, ...(minConfidence === undefined ? {} : { minConfidence }) };
  }

  #logsCalling(name: string, only: string | undefined): string[] {
    const logs = this.#logsOf(name).filter((log) => only === undefined || log === only);
    if (logs.length > 0) return logs;
    const where = only === undefined ? "" : ` on the log ${only}`;
    throw new TidemarkError("MODEL_MISSING", `No job here calls the model "${name}"${where}.`);
  }

  #logsOf(name: string): string[] {
    return [...new Set(this.#parts.jobs().flatMap((job) => (modelsOf([job]).includes(name) ? [job.log] : [])))].sort();
  }
}

/** Records that have begun by now, in the order in which they are in force: of those that begin alike the newest counts. */
function begunOf(history: readonly StoredRecord[]): readonly StoredRecord[] {
  const now = systemClock.now();
  const begun = history.filter(({ effectiveFrom }) => effectiveFrom <= now);
  return begun.toSorted((a, b) => a.effectiveFrom - b.effectiveFrom || a.version - b.version);
}

function inForceOf(history: readonly StoredRecord[]): StoredRecord | undefined {
  return begunOf(history).at(-1);
}

/** `undefined` for no record, and for one that ends the model. */
function activationOf(record: StoredRecord | undefined): ModelActivation | undefined {
  return (record?.data ?? undefined) as ModelActivation | undefined;
}

function startOf(record: StoredRecord | undefined): string {
  return record === undefined ? EVER : formatInstant(record.effectiveFrom);
}

function contentOf({ serving }: ModelDraft, content: Uint8Array | undefined): ModelContent {
  if (content === undefined) return { sha256: primitives.sha256(canonicalJson(serving)), bytes: 0 };
  return { sha256: primitives.sha256(content), bytes: content.length };
}

function checkContent(name: string, { serving }: ModelDraft, content: Uint8Array | undefined): void {
  if (serving.kind !== "onnx") {
    if (content !== undefined) throw invalid(name, `a model of the kind ${serving.kind} has no content`);
    return;
  }
  if (content === undefined) throw invalid(name, "an onnx model has a content");
  try {
    planServing(serving, readModel(content).structure);
  } catch (error) {
    if (error instanceof InferenceError) throw invalid(name, `its content: ${error.message}`);
    throw error;
  }
}

function invalid(name: string, detail: string): TidemarkError {
  return new TidemarkError("MODEL_INVALID", `Model "${name.slice(0, 64)}": ${detail}.`);
}
