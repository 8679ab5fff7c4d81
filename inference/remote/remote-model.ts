/**
 * Models behind servers, as one version of a model is served: by the kind of its serving. They make requests and read
 * answers; they do not try again, and keep nothing between two calls.
 */
import { failure, InferenceError } from "../failures.ts";
import type { ModelAnswer, ModelInput, ServedModel } from "../inference.ts";
import type { ModelRecord } from "../model-record.ts";
import { BATCH_DEFAULT } from "./bounds.ts";
import { Endpoint, type EndpointOptions } from "./endpoint.ts";
import { askJson } from "./json-model.ts";
import { KserveModel, kservePath } from "./kserve-model.ts";
import { OpenAiChat } from "./openai-chat.ts";
import { OpenAiEmbeddings } from "./openai-embeddings.ts";
import { type RemoteServing, readRemoteServing } from "./remote-serving.ts";

type Run = ServedModel["run"];

/** Asks nothing yet: whether the server is there shows with the first call. Rejects with InferenceError, MODEL_REFUSED. */
export async function openRemoteModel(record: ModelRecord, options: EndpointOptions): Promise<ServedModel> {
  const serving = readRemoteServing(record.serving);
  if (typeof serving === "string") throw new InferenceError(failure("MODEL_REFUSED", `The serving of ${record.name}: ${serving}.`));
  const batchMax = batchMaxOf(serving);
  const run = runOf(serving, record, options);
  return {
    batchMax,
    run(inputs, signal) {
      if (inputs.length > batchMax) throw new Error(`a batch of ${inputs.length} was given to a model that takes ${batchMax}`);
      return run(inputs, signal);
    },
    // Connections are shared by all models, and end with them.
    close: async () => {},
  };
}

function batchMaxOf(serving: RemoteServing): number {
  return serving.kind === "kserve" || serving.kind === "openai-embeddings" ? (serving.batchMax ?? BATCH_DEFAULT) : 1;
}

function runOf(serving: RemoteServing, { name, output }: ModelRecord, options: EndpointOptions): Run {
  switch (serving.kind) {
    case "kserve": {
      const model = new KserveModel(serving, new Endpoint(serving, kservePath(serving), options));
      return (inputs, signal) => model.ask(inputs, signal);
    }
    case "openai-embeddings": {
      const model = new OpenAiEmbeddings(serving, new Endpoint(serving, "/v1/embeddings", options));
      return (inputs, signal) => model.ask(inputs, signal);
    }
    case "openai-chat": {
      const chat = new OpenAiChat(serving, new Endpoint(serving, "/v1/chat/completions", options), name, output);
      return each((input, signal) => chat.ask(input, signal));
    }
    case "json": {
      const endpoint = new Endpoint(serving, "", options);
      return each((input, signal) => askJson(serving, endpoint, input, signal));
    }
  }
}

/** Of models that are asked with one input. */
function each(ask: (input: ModelInput, signal: AbortSignal) => Promise<ModelAnswer>): Run {
  return (inputs, signal) => Promise.all(inputs.map((input) => ask(input, signal)));
}
