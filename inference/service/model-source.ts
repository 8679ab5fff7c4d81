/** Where the inference process gets its models from, and what it makes of one. Both are handed in. */
import type { Inferrer } from "../inference.ts";
import type { ModelRecord } from "../model-record.ts";
import type { SecretOrigins } from "../secrets/secret-origins.ts";

export interface FoundModel {
  readonly record: ModelRecord;
  /** Absolute path of the content; absent for models that a server runs. */
  readonly contentPath?: string;
}

export interface ModelSource {
  /** `undefined` when no such version is registered. */
  find(model: string, version: number): Promise<FoundModel | undefined>;
}

/** A version of a model with everything around it, ready to be asked. */
export interface OpenedModel {
  readonly stream: Inferrer;
  /** The same with places of its own, so that neither lane takes one from the other. */
  readonly onDemand: Inferrer;
  /** The same without its own fallback: for when it is another's, so that two that stand in for each other end somewhere. */
  readonly plain: Inferrer;
  /** Inputs that wait for the model itself; measured. */
  queued?(): number;
  close(): Promise<void>;
}

/** Rejects with InferenceError when the model cannot be served. `others` answers for any other model, without a fallback of its own. */
export type ServeModel = (found: FoundModel, others: Inferrer) => Promise<OpenedModel>;

/** What is set for the node as a whole. No secret is in it: their names are in the records, their values where this says. */
export interface ServiceSettings {
  /** Directory with a file for each secret. Default: environment variables alone. */
  readonly secretsDirectory?: string;
  /** Where each secret may go. Default: nowhere. */
  readonly secretOrigins?: SecretOrigins;
  /** Regions by tag: where data with that tag may be. */
  readonly residencies?: Readonly<Record<string, readonly string[]>>;
}
