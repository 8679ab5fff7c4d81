/** The models that ship, each with what trains it and where it lies. */

import { forecastGraph, servedForecast } from "./forecast/forecast-graph.ts";
import { FORECAST_OPTIONS, type ForecastTraining, forecastFigures, trainedForecaster } from "./forecast/forecast-training.ts";
import { fraudGraph, servedFraud } from "./fraud/fraud-graph.ts";
import { FRAUD_OPTIONS, type FraudOptions, fraudFigures, trainFraud } from "./fraud/fraud-training.ts";
import { sentimentGraph, servedSentiment } from "./sentiment/sentiment-graph.ts";
import {
  SENTIMENT_MIN_CONFIDENCE,
  SENTIMENT_OPTIONS,
  type SentimentOptions,
  sentimentFigures,
  trainSentiment,
} from "./sentiment/sentiment-training.ts";
import { type TrainedModel, trainedModel } from "./trained-model.ts";

export interface ShippedModel {
  readonly name: string;
  /** `<name>.onnx`, `<name>.json` and the card `README.md` are in it. */
  readonly folder: URL;
  readonly train: () => TrainedModel;
}

export const SHIPPED_MODELS: readonly ShippedModel[] = [
  { name: "fraud", folder: folderOf("transactions"), train: () => fraudModel(FRAUD_OPTIONS) },
  { name: "sentiment", folder: folderOf("conversations"), train: () => sentimentModel(SENTIMENT_OPTIONS) },
  { name: "hour-forecast", folder: folderOf("sensors"), train: () => forecastModel(FORECAST_OPTIONS) },
];

export function fraudModel(options: FraudOptions): TrainedModel {
  const trained = trainFraud(options);
  return trainedModel(fraudGraph(trained.trees), servedFraud(trained.threshold), fraudFigures(trained));
}

export function sentimentModel(options: SentimentOptions): TrainedModel {
  const trained = trainSentiment(options);
  return trainedModel(sentimentGraph(trained), servedSentiment(SENTIMENT_MIN_CONFIDENCE), sentimentFigures(trained, options));
}

export function forecastModel(options: ForecastTraining): TrainedModel {
  const trained = trainedForecaster(options);
  return trainedModel(forecastGraph(trained), servedForecast(), forecastFigures(trained, options));
}

function folderOf(job: string): URL {
  return new URL(`../../actors/${job}/models/`, import.meta.url);
}
