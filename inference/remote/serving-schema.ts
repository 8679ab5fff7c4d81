/** What a serving of each kind looks like, as JSON Schema; what no schema can say is in `serving-faults.ts`. */
import { type Refusal, readSchema } from "../../actors/fold/readable-schema.ts";
import { SECRET_NAME } from "../secrets/secret.ts";
import * as bounds from "./bounds.ts";
import { DATATYPES } from "./datatypes.ts";
import type { RemoteKind } from "./remote-serving.ts";

const name = { type: "string", minLength: 1, maxLength: 256 };
const pointer = { type: "string", maxLength: 512 };
const whole = (maximum: number) => ({ type: "integer", minimum: 1, maximum });
const shape = { type: "array", maxItems: 8, items: whole(bounds.ROW_ELEMENTS_MAX) };
const template = { type: "string", maxLength: bounds.TEMPLATE_MAX_CHARS };

const ENDPOINT = {
  url: { type: "string", maxLength: bounds.URL_MAX_CHARS },
  path: { type: "string", maxLength: bounds.URL_MAX_CHARS, pattern: "^/" },
  region: { type: "string", minLength: 1, maxLength: 64 },
  timeoutMs: whole(bounds.TIMEOUT_MAX_MS),
  secret: closed(["name"], {
    name: { type: "string", pattern: SECRET_NAME.source },
    header: { type: "string", pattern: "^[a-z][a-z0-9-]{0,63}$" },
    scheme: { type: "string", pattern: "^[A-Za-z0-9._~-]{0,32}$" },
    overHttp: { type: "boolean" },
  }),
};

const KINDS: Readonly<Record<RemoteKind, object>> = {
  kserve: closed(["kind", "url", "model", "inputs", "outputs"], {
    ...ENDPOINT,
    kind: { const: "kserve" },
    model: name,
    modelVersion: name,
    batchMax: whole(bounds.BATCH_MAX),
    inputs: some(
      closed(["tensor", "datatype", "from"], { tensor: name, datatype: { enum: DATATYPES }, from: some(pointer, 1_024), shape }),
    ),
    outputs: some(closed(["tensor", "to"], { tensor: name, to: name, shape, labels: { ...some(name, 1_024), uniqueItems: true } })),
  }),
  "openai-chat": closed(["kind", "url", "model", "user", "maxTokens"], {
    ...ENDPOINT,
    kind: { const: "openai-chat" },
    model: name,
    system: template,
    user: { ...template, minLength: 1 },
    maxTokens: whole(bounds.TOKENS_MAX),
    maxTokensField: { enum: ["max_tokens", "max_completion_tokens"] },
    responseFormat: { enum: ["schema", "object", "none"] },
    content: { enum: ["json", "text"] },
    output: pointer,
  }),
  "openai-embeddings": closed(["kind", "url", "model", "text"], {
    ...ENDPOINT,
    kind: { const: "openai-embeddings" },
    model: name,
    text: pointer,
    dimensions: whole(bounds.DIMENSIONS_MAX),
    batchMax: whole(bounds.BATCH_MAX),
  }),
  json: closed(["kind", "url"], { ...ENDPOINT, kind: { const: "json" }, output: pointer }),
};

/** By kind. */
export const SERVING_CHECKS: ReadonlyMap<string, Refusal> = new Map(Object.entries(KINDS).map(([kind, schema]) => [kind, checkOf(schema)]));
function closed(required: readonly string[], properties: Readonly<Record<string, unknown>>): object {
  return { type: "object", required, properties, additionalProperties: false };
}

function some(items: object, maxItems = bounds.TENSORS_MAX): object {
  return { type: "array", minItems: 1, maxItems, items };
}

function checkOf(schema: object): Refusal {
  const check = readSchema(schema);
  if (typeof check === "string") throw new Error(`a schema of servings cannot be read: ${check}`);
  return check;
}
