/** The files that ship: that they are what training gives, that their cards say so, and that they do what they are for. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { sentimentTokens } from "../../../actors/conversations/sentiment-features.ts";
import { WINDOW_HOURS } from "../../../actors/sensors/hour-window.ts";
import { readModelDraft } from "../../../inference/model-record.ts";
import { readOnnxServing } from "../../../inference/onnx/onnx-serving.ts";
import { areaUnderCurve } from "../../../inference/training/classification-metrics.ts";
import { cosineOf } from "../../../inference/training/exact-math.ts";
import { labelledTransactions } from "../../../inference/training/fraud/labelled-transactions.ts";
import { ruleScore } from "../../../inference/training/fraud/rule-score.ts";
import { rowAt } from "../../../inference/training/rows.ts";
import { FREE_SENTENCES } from "../../../inference/training/sentiment/free-sentences.ts";
import { SENTIMENT_OPTIONS } from "../../../inference/training/sentiment/sentiment-training.ts";
import { forecastModel, fraudModel, SHIPPED_MODELS, sentimentModel } from "../../../inference/training/shipped-models.ts";
import { declarationText, type ModelDeclaration, type TrainedModel, withFigures } from "../../../inference/training/trained-model.ts";
import { type ServedFile, servedFile } from "./served.ts";
import { SMALL_FORECAST, SMALL_FRAUD, SMALL_SENTIMENT } from "./small-options.ts";

const CONTENT_MAX_BYTES = 300_000;

function shipped(name: string): {
  readonly content: Uint8Array;
  readonly declaration: ModelDeclaration;
  readonly text: string;
  readonly card: string;
} {
  const { folder } = SHIPPED_MODELS.find((one) => one.name === name)!;
  const text = readFileSync(new URL(`${name}.json`, folder), "utf8");
  const card = readFileSync(new URL("README.md", folder), "utf8");
  return { content: readFileSync(new URL(`${name}.onnx`, folder)), declaration: JSON.parse(text) as ModelDeclaration, text, card };
}

function served(name: string): Promise<ServedFile> {
  const { content, declaration } = shipped(name);
  return servedFile(content, declaration);
}

for (const { name } of SHIPPED_MODELS) {
  test(`${name}: it is small, and its declaration is of this content and has a serving that can be read`, () => {
    const { content, declaration } = shipped(name);
    assert.ok(content.length < CONTENT_MAX_BYTES, `${content.length}`);
    const { sha256: _sha256, ...draft } = declaration;
    assert.equal(typeof readModelDraft(draft), "object", String(readModelDraft(draft)));
    assert.equal(declaration.sha256, createHash("sha256").update(content).digest("hex"));
    assert.deepEqual(readOnnxServing(declaration.serving), declaration.serving);
  });
}

suite("training", () => {
  const small: readonly (readonly [string, () => TrainedModel])[] = [
    ["fraud", () => fraudModel(SMALL_FRAUD)],
    ["sentiment", () => sentimentModel(SMALL_SENTIMENT)],
    ["hour-forecast", () => forecastModel(SMALL_FORECAST)],
  ];
  for (const [name, train] of small) {
    test(`${name}, small: done twice it gives the same bytes and the same figures`, () => {
      const [once, again] = [train(), train()];
      assert.deepEqual(again.content, once.content);
      assert.deepEqual(again.figures, once.figures);
    });
  }

  test("sentiment, as it ships: training gives the content, the declaration and the figures that lie there", () => {
    const trained = sentimentModel(SENTIMENT_OPTIONS);
    const { content, text, card } = shipped("sentiment");
    assert.ok(Buffer.from(trained.content).equals(content));
    assert.equal(declarationText(trained.declaration), text);
    assert.equal(withFigures(card, trained), card);
  });

  test("a card without a place for figures is refused", () => {
    assert.throws(() => withFigures("# Card", { name: "x", figures: [] }), /no place for its figures/);
  });
});

suite("the models that ship", () => {
  test("fraud: on fresh customers it tells thieves from holders, and better than rules", async () => {
    await using model = await served("fraud");
    const { rows, labels } = labelledTransactions({ seed: 555, customers: 70, days: 40 });
    const answers = await model.answers(Array.from({ length: rows.count }, (_, i) => ({ features: [...rowAt(rows, i)] })));
    const probabilities = answers.map((answer) => (answer as { probability: number }).probability);
    const area = areaUnderCurve({ probabilities, labels });
    const byRules = areaUnderCurve({
      probabilities: labels.length === 0 ? [] : Array.from(labels, (_, i) => ruleScore(rowAt(rows, i))),
      labels,
    });
    assert.ok(area > 0.95 && area > byRules + 0.1, `${area} against ${byRules}`);
    const expected = probabilities.reduce((sum, probability) => sum + probability, 0);
    const thefts = labels.reduce((sum, label) => sum + label, 0);
    assert.ok(Math.abs(expected / thefts - 1) < 0.35, `${expected} expected, ${thefts} there`);
  });

  test("sentiment: of sentences that nobody trained it on, five of six are right", async () => {
    await using model = await served("sentiment");
    const answers = await model.answers(FREE_SENTENCES.map(([, text]) => ({ tokens: sentimentTokens([{ role: "user", text }]) })));
    const right = answers.filter((answer, i) => (answer as { sentiment: string }).sentiment === FREE_SENTENCES[i]![0]).length;
    assert.ok(right >= FREE_SENTENCES.length * (5 / 6), `${right}`);
  });

  test("sentiment: thanks behind a complaint, and a complaint behind thanks", async () => {
    await using model = await served("sentiment");
    const talk = (...texts: readonly string[]) => ({ tokens: sentimentTokens(texts.map((text) => ({ role: "user", text }))) });
    const moods = await model.answers([
      talk("My router is broken and nobody helps me.", "It works again now, thank you so much!"),
      talk("Thanks, great service.", "It is broken again, this is really frustrating. I want my money back."),
      talk("Where is my invoice?"),
    ]);
    assert.deepEqual(
      moods.map((mood) => (mood as { sentiment: string }).sentiment),
      ["positive", "negative", "neutral"],
    );
  });

  test("hour-forecast: what repeats every day goes on, a constant stays, and both are expected with more certainty than noise", async () => {
    await using model = await served("hour-forecast");
    const hours = (of: (hour: number) => number) => ({ hours: Array.from({ length: WINDOW_HOURS }, (_, hour) => of(hour)) });
    const wave = (hour: number): number => 50 + 10 * cosineOf(hour / 24);
    const noise = (hour: number): number => 50 + 10 * cosineOf(hour * hour * 0.377);
    const [daily, constant, noisy] = (await model.answers([hours(wave), hours(() => 21.5), hours(noise)])) as {
      forecast: number;
      deviation: number;
    }[];
    assert.ok(Math.abs(daily!.forecast - wave(WINDOW_HOURS)) < 1.5, `${daily!.forecast}`);
    assert.ok(Math.abs(constant!.forecast - 21.5) < 0.01 && constant!.deviation < 0.01, `${constant!.forecast}`);
    assert.ok(noisy!.deviation > 3 * daily!.deviation, `${noisy!.deviation} ${daily!.deviation}`);
  });
});
