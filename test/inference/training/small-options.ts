/** Training that takes a second or two: enough to learn something, and the same code as that of the models that ship. */
import type { ForecastTraining } from "../../../inference/training/forecast/forecast-training.ts";
import type { FraudOptions } from "../../../inference/training/fraud/fraud-training.ts";
import type { SentimentOptions } from "../../../inference/training/sentiment/sentiment-training.ts";

export const SMALL_FRAUD: FraudOptions = {
  seed: 77,
  customers: [40, 15, 15],
  days: 20,
  boosting: { trees: 20, depth: 4, learningRate: 0.2, l2: 2, leafWeightMin: 2, gainMin: 0.5 },
};

export const SMALL_SENTIMENT: SentimentOptions = { seed: 5, contexts: 1_500, epochs: 2, testContexts: 200 };

export const SMALL_FORECAST: ForecastTraining = { seed: 3, hidden: [8], epochs: 2, series: 20, hours: 96, stride: 2, testSeries: 4 };
