/** The sentiment model as ONNX: weights of the buckets, looked up and summed, and the softmax over the three moods. */
import { SENTIMENT_BUCKETS, SENTIMENT_TOKENS } from "../../../actors/conversations/sentiment-features.ts";
import type { ModelProto } from "../../onnx/onnx-proto.ts";
import { floats, integers, model, node, value } from "../../onnx/onnx-writer.ts";
import type { SoftmaxRegression } from "../softmax-regression.ts";
import type { Served } from "../trained-model.ts";
import { MOODS } from "./labelled-contexts.ts";

/** Buckets in, `[negative, neutral, positive]` out. Bucket 0 weighs nothing and is not counted. */
export function sentimentGraph({ classes, weights, biases }: SoftmaxRegression): ModelProto {
  return model({
    nodes: [
      node("Gather", ["weights", "tokens"], ["looked-up"], { axis: 0n }),
      node("ReduceSum", ["looked-up", "axis"], ["sum"], { keepdims: 0n }),
      // 1 for a bucket, 0 for what fills up.
      node("Cast", ["tokens"], ["is-token"], { to: 9n }),
      node("Cast", ["is-token"], ["counted"], { to: 1n }),
      node("ReduceSum", ["counted", "axis"], ["count"], { keepdims: 1n }),
      node("Max", ["count", "one"], ["size"]),
      node("Sqrt", ["size"], ["scale"]),
      node("Div", ["sum", "scale"], ["scaled"]),
      node("Add", ["scaled", "biases"], ["logits"]),
      node("Softmax", ["logits"], ["probabilities"], { axis: -1n }),
    ],
    weights: [
      floats("weights", [SENTIMENT_BUCKETS, classes], weights),
      floats("biases", [classes], biases),
      floats("one", [1], [1]),
      integers("axis", [1], [1]),
    ],
    inputs: [value("tokens", "int64", ["batch", SENTIMENT_TOKENS])],
    outputs: [value("probabilities", "float32", ["batch", classes])],
  });
}

export function servedSentiment(minConfidence: number): Served {
  const probabilities = { tensor: "probabilities", labels: MOODS };
  const probability = { type: "number", minimum: 0, maximum: 1 };
  return {
    name: "sentiment",
    serving: {
      kind: "onnx",
      inputs: { tokens: { field: "tokens" } },
      outputs: {
        sentiment: { ...probabilities, largest: "label" },
        confidence: { ...probabilities, largest: "value" },
        probabilities,
      },
    },
    input: {
      type: "object",
      description: "Buckets of what people said, the newest message first, filled up with 0.",
      properties: {
        tokens: {
          type: "array",
          items: { type: "integer", minimum: 0, maximum: SENTIMENT_BUCKETS - 1 },
          minItems: SENTIMENT_TOKENS,
          maxItems: SENTIMENT_TOKENS,
        },
      },
      required: ["tokens"],
      additionalProperties: false,
    },
    output: {
      type: "object",
      properties: {
        sentiment: { enum: [...MOODS] },
        confidence: probability,
        probabilities: {
          type: "object",
          properties: Object.fromEntries(MOODS.map((mood) => [mood, probability])),
          required: [...MOODS],
          additionalProperties: false,
        },
      },
      required: ["sentiment", "confidence", "probabilities"],
      additionalProperties: false,
    },
    confidence: "confidence",
    minConfidence,
    sloMs: 500,
    batchWaitMs: 2,
  };
}
