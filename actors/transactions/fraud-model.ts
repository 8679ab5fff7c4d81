/** The model that scores transactions: the call to it, what it answers, and the version that ships. */
import { type Static, Type } from "typebox";
import { infer } from "../model/effect.ts";
import { shippedModel } from "../model/shipped-model.ts";
import { FRAUD_FEATURES } from "./fraud-features.ts";

const count = FRAUD_FEATURES.length;
const Features = Type.Object({ features: Type.Array(Type.Number(), { minItems: count, maxItems: count }) });

export const FraudScore = Type.Object({
  /** Of fraud. */
  probability: Type.Number({ minimum: 0, maximum: 1 }),
  /** The likelier of the two. */
  verdict: Type.Union([Type.Literal("honest"), Type.Literal("fraud")]),
});

export interface FraudExchange {
  readonly input: Static<typeof Features>;
  readonly output: Static<typeof FraudScore>;
}

export const effects = { fraud: infer("fraud", { input: Features, output: FraudScore, timeout: "30s", slo: "200ms" }) };

export const fraudModel = shippedModel("fraud", {
  description: new URL("./models/fraud.json", import.meta.url),
  content: new URL("./models/fraud.onnx", import.meta.url),
});
