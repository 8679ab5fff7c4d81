/** The model that says how people feel: the call to it, what it answers, and the version that ships. */
import { Type } from "typebox";
import { infer } from "../model/effect.ts";
import { shippedModel } from "../model/shipped-model.ts";
import { SENTIMENT_BUCKETS, SENTIMENT_TOKENS } from "./sentiment-features.ts";

const Share = Type.Number({ minimum: 0, maximum: 1 });
const Bucket = Type.Integer({ minimum: 0, maximum: SENTIMENT_BUCKETS - 1 });

export const Sentiment = Type.Object({
  /** The likeliest of the three. */
  sentiment: Type.Union([Type.Literal("negative"), Type.Literal("neutral"), Type.Literal("positive")]),
  probabilities: Type.Object({ negative: Share, neutral: Share, positive: Share }),
});

export const effects = {
  sentiment: infer("sentiment", {
    input: Type.Object({ tokens: Type.Array(Bucket, { minItems: SENTIMENT_TOKENS, maxItems: SENTIMENT_TOKENS }) }),
    output: Sentiment,
    timeout: "30s",
    slo: "500ms",
  }),
};

export const sentimentModel = shippedModel("sentiment", {
  description: new URL("./models/sentiment.json", import.meta.url),
  content: new URL("./models/sentiment.onnx", import.meta.url),
});
