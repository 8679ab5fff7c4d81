/**
 * How a model behind a server is asked: part of its version's record, so that what is in force is asked everywhere in
 * the same way. It is plain data and names a secret, never its value.
 */
import type { Datatype } from "./datatypes.ts";
import { servingFault } from "./serving-faults.ts";
import { SERVING_CHECKS } from "./serving-schema.ts";

/** A secret, by name, and the header that it goes out in. */
export interface SecretUse {
  readonly name: string;
  /** In small letters; "authorization" when absent. */
  readonly header?: string;
  /** What stands before the secret; "Bearer" for `authorization`, nothing for other headers, when absent. */
  readonly scheme?: string;
  /** It may go out without TLS to another machine too, as where a mesh encrypts; not when absent. */
  readonly overHttp?: boolean;
}

interface Endpoint {
  /** Origin of the server, and the path before the protocol's own. */
  readonly url: string;
  /** In place of the protocol's own path. */
  readonly path?: string;
  /** Where the server's data is kept and worked on. */
  readonly region?: string;
  readonly secret?: SecretUse;
  /** Milliseconds of one request with its answer. */
  readonly timeoutMs?: number;
}

export interface TensorInput {
  readonly tensor: string;
  readonly datatype: Datatype;
  /** Where its row is taken from in an input, as JSON pointers: values and lists of them, one behind the other. */
  readonly from: readonly string[];
  /** Of one row; when absent, one dimension as long as `from`. */
  readonly shape?: readonly number[];
}

export interface TensorOutput {
  readonly tensor: string;
  /** Field of the output that its row goes to. */
  readonly to: string;
  /** Of one row; [] or [1] for a single value, and when absent. */
  readonly shape?: readonly number[];
  /** Names of a row's elements: the output has an object by them in place of a list. */
  readonly labels?: readonly string[];
}

/** KServe v2, or Open Inference Protocol, as Triton speaks it: rows of a batch in one request. */
export interface KserveServing extends Endpoint {
  readonly kind: "kserve";
  readonly model: string;
  /** As the server names it; its own choice when absent. */
  readonly modelVersion?: string;
  readonly inputs: readonly TensorInput[];
  readonly outputs: readonly TensorOutput[];
  readonly batchMax?: number;
}

export interface OpenAiChatServing extends Endpoint {
  readonly kind: "openai-chat";
  readonly model: string;
  /** Templates: see `prompt-template.ts`. */
  readonly system?: string;
  readonly user: string;
  readonly maxTokens: number;
  /** What the server calls that; "max_tokens" when absent. */
  readonly maxTokensField?: "max_tokens" | "max_completion_tokens";
  /** `schema`: the record's output schema is sent; `object`: any JSON object; `none` when absent. */
  readonly responseFormat?: "schema" | "object" | "none";
  /** `text`: the output is what the model says; "json" when absent: what it says is parsed. */
  readonly content?: "json" | "text";
  /** Where in that JSON the output lies, as a JSON pointer; the whole when absent. */
  readonly output?: string;
}

/** The output is a list of numbers. */
export interface OpenAiEmbeddingsServing extends Endpoint {
  readonly kind: "openai-embeddings";
  readonly model: string;
  /** The text in an input, as a JSON pointer. */
  readonly text: string;
  readonly dimensions?: number;
  readonly batchMax?: number;
}

/** The input is posted as it is; the answer is the output. */
export interface JsonServing extends Endpoint {
  readonly kind: "json";
  /** Where in the answer the output lies, as a JSON pointer; the whole when absent. */
  readonly output?: string;
}

export type RemoteServing = KserveServing | OpenAiChatServing | OpenAiEmbeddingsServing | JsonServing;

export type RemoteKind = RemoteServing["kind"];

/** The serving, or the reason why it is refused: whoever registers a model wrote it. */
export function readRemoteServing(value: unknown): RemoteServing | string {
  const kind = typeof value === "object" && value !== null && "kind" in value ? value.kind : undefined;
  const check = typeof kind === "string" ? SERVING_CHECKS.get(kind) : undefined;
  if (check === undefined) return `/kind must be one of ${[...SERVING_CHECKS.keys()].join(", ")}`;
  return check(value) ?? servingFault(value as RemoteServing) ?? (value as RemoteServing);
}
