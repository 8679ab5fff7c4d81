/** Models: versions, what is in force where, putting and activating versions, and asking one on demand. */
import { type Static, Type } from "typebox";
import { canonicalJson, UnsafeData } from "../../actors/fold/canonical.ts";
import { formatInstant } from "../../actors/model/time.ts";
import type { InferenceFailure } from "../../inference/failures.ts";
import { MODEL_NAME, type ModelRecord } from "../../inference/model-record.ts";
import { systemClock } from "../../runtime/clock.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import type { ModelChange, ModelInLog } from "../../runtime/models/models.ts";
import type { Node } from "../../runtime/node/node.ts";
import { badRequest, HttpProblem, notFound } from "./problem.ts";
import { listOf, pageOf, WHOLE_QUERY } from "./query.ts";
import type { Route, RouteRequest } from "./route.ts";
import { Instant } from "./shapes.ts";

const Text = Type.String();
const Count = Type.Integer({ minimum: 0 });
const Version = Type.Integer({ minimum: 1, description: "Of the model." });
const Share = Type.Number({ exclusiveMinimum: 0, maximum: 1, description: "Of the events, by a hash of key and event id." });
const Name = Type.String({ pattern: MODEL_NAME.source, description: "As effects name it." });

const InForce = Type.Object({
  log: Text,
  champion: Type.Union([Version, Type.Null()], { description: "null: none is in force." }),
  challenger: Type.Union([Type.Object({ version: Version, share: Share }), Type.Null()]),
  record: Type.Integer({ minimum: 0, description: "Version of the record of `_models` that says so." }),
});
const VersionBody = Type.Object({
  version: Version,
  sha256: Type.String({ description: "Of the content; of how it is served, where a server runs it." }),
  contentBytes: Count,
  kind: Type.String({ description: "onnx, kserve, openai-chat, openai-embeddings or json." }),
  minConfidence: Type.Union([Type.Number(), Type.Null()]),
  sloMs: Type.Union([Count, Type.Null()]),
});
const ModelItem = Type.Object({ name: Name, versions: Type.Array(VersionBody), inForce: Type.Array(InForce) });
const ModelDetail = Type.Object({
  name: Name,
  versions: Type.Array(Type.Intersect([VersionBody, Type.Object({ description: Type.Unknown({ description: "As it was put." }) })])),
  inForce: Type.Array(InForce),
  history: Type.Array(
    Type.Object({
      log: Text,
      record: Count,
      effectiveFrom: Instant,
      putAt: Instant,
      champion: InForce.properties.champion,
      challenger: InForce.properties.challenger,
    }),
    { description: "What was put in force, oldest first; at most the last 100 of each log. A champion of null ended it." },
  ),
});

const Change = Type.Object(
  {
    champion: Type.Optional(Version),
    challenger: Type.Optional(Type.Union([Type.Object({ version: Version, share: Share }, { additionalProperties: false }), Type.Null()])),
    rollback: Type.Optional(Type.Literal(true, { description: "The champion before the one in force; not with `champion`." })),
    effectiveFrom: Type.Optional(Instant),
    log: Type.Optional(Type.String({ description: "In this log alone; default every log whose jobs call the model." })),
  },
  { additionalProperties: false },
);
const Draft = Type.Object(
  {
    description: Type.Unknown({ description: "`{serving, input, output, …}`" }),
    content: Type.Optional(Type.String({ description: "Base64; of an `onnx` model." })),
  },
  { additionalProperties: false },
);
const Question = Type.Object(
  {
    input: Type.Unknown(),
    version: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: "Default: the champion in force, of several logs that of the first by name; without one the newest.",
      }),
    ),
    timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 25_000, description: "Default 5000." })),
  },
  { additionalProperties: false },
);
const Answer = Type.Object({
  output: Type.Unknown(),
  confidence: Type.Union([Type.Number(), Type.Null()]),
  actionable: Type.Boolean(),
  model: Name,
  version: Version,
  latencyMs: Type.Number({ minimum: 0 }),
  cached: Type.String({ description: "no, exact or semantic." }),
  units: Type.Number({ minimum: 0 }),
});

/** 64 MiB of content as base64, and its description. */
const PUT_MAX_BYTES = 96 * 1024 * 1024;
const HISTORY_MAX = 100;
const TIMEOUT_MS = 5_000;

export function modelRoutes(node: Node): readonly Route[] {
  const { models } = node.models;
  return [
    {
      method: "GET",
      path: "/v1/models",
      role: "viewer",
      summary: "Models, their versions, and what is in force where",
      query: Type.Object(WHOLE_QUERY),
      answers: { 200: listOf(ModelItem) },
      handle: async ({ query }) => {
        const { items, next } = pageOf(await models.names(), query);
        return { status: 200, body: { items: await Promise.all(items.map((name) => itemOf(node, name))), next } };
      },
    },
    {
      method: "GET",
      path: "/v1/models/{name}",
      role: "viewer",
      summary: "One model: its versions as they were put, and what was in force when",
      params: Type.Object({ name: Name }),
      answers: { 200: ModelDetail },
      handle: async ({ params }) => ({ status: 200, body: await detailOf(node, params.name!) }),
    },
    {
      method: "PUT",
      path: "/v1/models/{name}",
      role: "operator",
      summary: "Puts versions of a model in force from the next entries of its logs on: champion, challenger, or the champion before",
      params: Type.Object({ name: Name }),
      body: Change,
      answers: { 200: Type.Object({ name: Name, inForce: Type.Array(InForce) }) },
      command: true,
      handle: async ({ params, body }) => {
        const inForce = await activate(node, params.name!, body as Static<typeof Change>).catch(refuse);
        return { status: 200, body: { name: params.name!, inForce: inForce.map(inForceBody) } };
      },
    },
    {
      method: "POST",
      path: "/v1/models/{name}/versions",
      role: "admin",
      summary: "Registers a version of a model; the same again is found, and no new one comes of it",
      params: Type.Object({ name: Name }),
      body: Draft,
      bodyMaxBytes: PUT_MAX_BYTES,
      answers: { 200: Type.Object({ name: Name, version: VersionBody, written: Type.Boolean() }) },
      command: true,
      handle: async ({ params, body }) => {
        const { description, content } = body as Static<typeof Draft>;
        const bytes = content === undefined ? undefined : decoded(content);
        const { record, written } = await models.put(params.name!, description, bytes);
        return { status: 200, body: { name: params.name!, version: versionBody(record), written } };
      },
    },
    {
      method: "POST",
      path: "/v1/models/{name}/infer",
      role: "operator",
      summary: "Asks a model now, beside all logs: nothing is recorded of it, and calls of jobs are not delayed by it",
      params: Type.Object({ name: Name }),
      body: Question,
      answers: { 200: Answer },
      long: true,
      handle: async (request) => ({ status: 200, body: await ask(node, request) }),
    },
  ];
}

async function itemOf({ models: { models } }: Node, name: string): Promise<Static<typeof ModelItem>> {
  const [versions, inForce] = await Promise.all([models.versions(name), models.inForce(name)]);
  return { name, versions: versions.map(versionBody), inForce: inForce.map(inForceBody) };
}

async function detailOf(node: Node, name: string): Promise<Static<typeof ModelDetail>> {
  const { models } = node.models;
  const [versions, inForce] = await Promise.all([models.versions(name), models.inForce(name)]);
  if (versions.length === 0 && inForce.length === 0) throw notFound(`There is no model "${name}".`);
  const records = await Promise.all(
    inForce.map(async ({ log }) => {
      const all = await models.history(log, name);
      return all.slice(-HISTORY_MAX).map(({ version: record, effectiveFrom, storedAt, data }) => {
        const { champion, challenger } = inForceBody({ log, activation: (data ?? undefined) as ModelInLog["activation"], record });
        return { log, record, effectiveFrom: formatInstant(effectiveFrom), putAt: formatInstant(storedAt), champion, challenger };
      });
    }),
  );
  return {
    name,
    versions: versions.map((record) => ({ ...versionBody(record), description: draftOf(record) })),
    inForce: inForce.map(inForceBody),
    history: records.flat(),
  };
}

async function activate(node: Node, name: string, change: Static<typeof Change>): Promise<readonly ModelInLog[]> {
  const { models } = node.models;
  const { rollback, log, ...rest } = change;
  if (rollback === undefined) {
    if (rest.champion === undefined && rest.challenger === undefined) throw badRequest("Name a champion, a challenger, or a rollback.");
    return await models.activate(name, rest as ModelChange, log);
  }
  if (rest.champion !== undefined) throw badRequest("A rollback names no champion: it is the one before.");
  return await models.rollBack(name, rest as ModelChange, log);
}

async function ask(node: Node, { params, body, signal }: RouteRequest): Promise<Static<typeof Answer>> {
  const name = params.name!;
  const { input, version: wanted, timeoutMs = TIMEOUT_MS } = body as Static<typeof Question>;
  const { models } = node.models;
  const inForce = await models.inForce(name);
  const known = await models.versions(name);
  const version =
    wanted ?? inForce.find(({ activation }) => activation !== undefined)?.activation?.champion.version ?? known.at(-1)?.version;
  const record = known.find((one) => one.version === version);
  if (version === undefined || record === undefined)
    throw notFound(`There is no ${version === undefined ? "" : `version ${version} of the `}model "${name}".`);
  const request = {
    id: `on-demand-${crypto.randomUUID()}`,
    model: name,
    version,
    input: textOf(input),
    deadline: systemClock.now() + timeoutMs,
  };
  const inference = await node.models.infer(request, signal);
  if ("failed" in inference) throw failed(inference.failed);
  const { output, confidence, model, version: answered, latencyMs, cached, units } = inference;
  const actionable = record.minConfidence === undefined || (confidence !== null && confidence >= record.minConfidence);
  return { output, confidence, actionable, model, version: answered, latencyMs, cached, units };
}

/** What is no base64 is left out by the decoder, so that less comes of it: that is quicker to see than to look at each character. */
function decoded(content: string): Buffer {
  const bytes = Buffer.from(content, "base64");
  const padding = content.endsWith("==") ? 2 : content.endsWith("=") ? 1 : 0;
  if (content.length % 4 === 0 && bytes.length === (content.length / 4) * 3 - padding) return bytes;
  throw badRequest("content: base64, without line breaks.");
}

function textOf(input: unknown): string {
  try {
    return canonicalJson(input);
  } catch (error) {
    if (!(error instanceof UnsafeData)) throw error;
    throw badRequest("input: it is nested too deep, or has fields or texts that could do harm.");
  }
}

/** What the caller can mend is 400; what has no room 429; all else may pass. */
function failed({ code, message, waitMs }: InferenceFailure): HttpProblem {
  if (code === "INPUT_REFUSED") return new HttpProblem(400, code, message);
  const retryAfter = { "retry-after": String(Math.max(1, Math.ceil(waitMs / 1_000))) };
  if (code === "OVERLOADED" || code === "RATE_LIMITED") return new HttpProblem(429, code, message, retryAfter);
  return new HttpProblem(code === "TIMEOUT" ? 504 : 502, code, message);
}

function versionBody({ version, sha256, contentBytes, serving, minConfidence, sloMs }: ModelRecord): Static<typeof VersionBody> {
  return { version, sha256, contentBytes, kind: serving.kind, minConfidence: minConfidence ?? null, sloMs: sloMs ?? null };
}

function draftOf(record: ModelRecord): object {
  const { format: _format, name: _name, version: _version, sha256: _sha256, contentBytes: _bytes, ...draft } = record;
  return draft;
}

function inForceBody({ log, activation, record }: ModelInLog): Static<typeof InForce> {
  const { champion, challenger } = activation ?? {};
  return {
    log,
    champion: champion?.version ?? null,
    challenger: challenger === undefined ? null : { version: challenger.version, share: challenger.share },
    record,
  };
}

function refuse(error: unknown): never {
  if (isTidemarkError(error, "REFERENCE_INVALID")) throw new HttpProblem(400, error.code, error.message);
  if (isTidemarkError(error, "REFERENCE_CONFLICT")) throw new HttpProblem(409, error.code, error.message);
  throw error;
}
