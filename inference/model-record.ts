/**
 * What is registered of one version of a model: how it is served, and what goes in and comes out. A plain record: it
 * stands in the registry, crosses threads and processes, and never changes once it was put.
 */
import { canonicalJson } from "../actors/fold/canonical.ts";
import { readSchema } from "../actors/fold/readable-schema.ts";
import { WAIT_MAX_MS } from "./batching/bounds.ts";
import { type ModelSettings, settingsReason } from "./model-settings.ts";
import { type OnnxServing, readOnnxServing } from "./onnx/onnx-serving.ts";
import { type RemoteServing, readRemoteServing } from "./remote/remote-serving.ts";

export const MODEL_FORMAT = 1;

export type JsonSchema = Readonly<Record<string, unknown>>;

/** By `kind`: `onnx` runs here; `kserve`, `openai-chat`, `openai-embeddings` and `json` ask a server. */
export type Serving = OnnxServing | RemoteServing;

/** What whoever registers a version says of it. */
export interface ModelDraft {
  readonly serving: Serving;
  readonly input: JsonSchema;
  readonly output: JsonSchema;
  /** Field of the output that has its confidence, from 0 to 1. */
  readonly confidence?: string;
  /** Below it an answer is not to be acted on by itself. */
  readonly minConfidence?: number;
  /** Milliseconds in which an answer is expected. */
  readonly sloMs?: number;
  /** Milliseconds that an input may wait for others to be run with. */
  readonly batchWaitMs?: number;
  readonly settings?: ModelSettings;
  readonly description?: string;
}

/** As a file describes it. */
export interface DescribedModel extends ModelDraft {
  /** That the content must have, where it is known. */
  readonly sha256?: string;
}

export interface ModelRecord extends ModelDraft {
  readonly format: number;
  /** `[A-Za-z0-9][A-Za-z0-9._-]{0,62}` */
  readonly name: string;
  /** From 1, without gaps. */
  readonly version: number;
  /** As hex: of the content of an `onnx` model, of `serving` as canonical JSON for the others. */
  readonly sha256: string;
  /** Of the content; 0 where there is none. */
  readonly contentBytes: number;
}

export const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const MEMBERS: readonly (keyof ModelDraft)[] = [
  "serving",
  "input",
  "output",
  "confidence",
  "minConfidence",
  "sloMs",
  "batchWaitMs",
  "settings",
  "description",
];
const SLO_MAX_MS = 86_400_000;
const DESCRIPTION_MAX_CHARS = 4_096;
const FIELD_MAX_CHARS = 256;
/** Of the whole as JSON: it is one message of the registry. */
const DRAFT_MAX_CHARS = 256 * 1024;

/** A draft, or why it is none: where, and what to write. */
export function readModelDraft(value: unknown): ModelDraft | string {
  if (!isObject(value)) return "a model is described by a JSON object";
  const stranger = Object.keys(value).find((name) => !(MEMBERS as readonly string[]).includes(name));
  if (stranger !== undefined) return `/${stranger.slice(0, 64)} is not known: ${MEMBERS.join(", ")} are`;
  const { serving, input, output } = value;
  const kind = isObject(serving) ? serving.kind : undefined;
  const read = kind === "onnx" ? readOnnxServing(serving) : readRemoteServing(serving);
  if (typeof read === "string") return `/serving: ${read}`;
  for (const [name, schema] of Object.entries({ input, output })) {
    const reason = isObject(schema) ? readSchema(schema) : "must be a JSON Schema, which is an object";
    if (typeof reason === "string") return `/${name} ${reason}`;
  }
  const reason = memberReason(value);
  if (reason !== undefined) return reason;
  try {
    if (canonicalJson(value).length > DRAFT_MAX_CHARS) return `it has more than ${DRAFT_MAX_CHARS} characters`;
  } catch {
    return "it is nested too deep, or has fields or texts that could do harm";
  }
  // Every member was looked at.
  return value as unknown as ModelDraft;
}

/** `undefined` for what no build of this format wrote. */
export function readModelRecord(payload: Uint8Array): ModelRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return undefined;
  }
  if (!isObject(value) || value.format !== MODEL_FORMAT) return undefined;
  const { format: _format, name, version, sha256, contentBytes, ...draft } = value;
  if (typeof name !== "string" || !MODEL_NAME.test(name) || !isWhole(version, 1, 2 ** 31 - 1)) return undefined;
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256) || !isWhole(contentBytes, 0, 2 ** 40)) return undefined;
  return typeof readModelDraft(draft) === "string" ? undefined : (value as unknown as ModelRecord);
}

function memberReason(value: Readonly<Record<string, unknown>>): string | undefined {
  const { confidence, minConfidence, sloMs, batchWaitMs, settings, description } = value;
  if (confidence !== undefined && !isText(confidence, FIELD_MAX_CHARS)) return "/confidence names a field of the output";
  if (minConfidence !== undefined && !isShare(minConfidence)) return "/minConfidence is a number from 0 to 1";
  if (minConfidence !== undefined && confidence === undefined) return "/minConfidence needs /confidence, the field that it is about";
  if (sloMs !== undefined && !isWhole(sloMs, 1, SLO_MAX_MS)) return `/sloMs is whole milliseconds from 1 to ${SLO_MAX_MS}`;
  if (batchWaitMs !== undefined && !isWhole(batchWaitMs, 0, WAIT_MAX_MS))
    return `/batchWaitMs is whole milliseconds from 0 to ${WAIT_MAX_MS}`;
  if (description !== undefined && !isText(description, DESCRIPTION_MAX_CHARS))
    return `/description is a text of 1 to ${DESCRIPTION_MAX_CHARS} characters`;
  const reason = settings === undefined ? undefined : settingsReason(settings);
  return reason === undefined ? undefined : `/settings${reason}`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown, max: number): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= max && value.isWellFormed();
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
}

function isShare(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= 1;
}
