/** Trains the sentiment model, and measures it on sentences whose templates it has not seen, and on ones written by hand. */
import { SENTIMENT_BUCKETS, sentimentTokens } from "../../../actors/conversations/sentiment-features.ts";
import { probabilitiesOf, type SoftmaxRegression, trainSoftmax } from "../softmax-regression.ts";
import { FREE_SENTENCES } from "./free-sentences.ts";
import { type LabelledContext, labelledContexts, MOODS } from "./labelled-contexts.ts";
import { LEXICON } from "./lexicon.ts";
import { SEEN, UNSEEN } from "./templates.ts";

export interface SentimentOptions {
  readonly seed: number;
  /** Conversations to train with. */
  readonly contexts: number;
  readonly epochs: number;
  /** Conversations to measure with, of each kind. */
  readonly testContexts: number;
}

export const SENTIMENT_OPTIONS: SentimentOptions = { seed: 11, contexts: 24_000, epochs: 8, testContexts: 6_000 };
/** Below it an answer is not to be acted on. */
export const SENTIMENT_MIN_CONFIDENCE = 0.6;

type Answered = Pick<LabelledContext, "tokens" | "label" | "messages">;

export function trainSentiment({ seed, contexts, epochs }: SentimentOptions): SoftmaxRegression {
  const options = {
    seed,
    tokens: SENTIMENT_BUCKETS,
    classes: MOODS.length,
    epochs,
    learningRate: 0.3,
    l2: 1e-5,
    smoothing: 0.06,
    dropout: 0.4,
  };
  return trainSoftmax(labelledContexts(seed, contexts, SEEN), options);
}

export function sentimentFigures(model: SoftmaxRegression, { testContexts }: SentimentOptions): string[] {
  const seen = labelledContexts(101, testContexts, SEEN);
  const unseen = labelledContexts(102, testContexts, UNSEEN);
  const free = FREE_SENTENCES.map(([mood, text]): Answered => {
    const messages = [{ role: "user", text }];
    return { messages, tokens: sentimentTokens(messages), label: MOODS.indexOf(mood) };
  });
  return [
    "| | conversations | right | words alone are right | confident | right of those |",
    "|---|---|---|---|---|---|",
    line("templates of the training, other conversations", seen, model),
    line("templates that training has not seen", unseen, model),
    line("single sentences written by hand", free, model),
  ];
}

function line(name: string, contexts: readonly Answered[], model: SoftmaxRegression): string {
  const answers = contexts.map(({ tokens, label }) => {
    const probabilities = probabilitiesOf(model, tokens);
    const confidence = Math.max(...probabilities);
    return { confidence, isRight: probabilities.indexOf(confidence) === label };
  });
  const confident = answers.filter(({ confidence }) => confidence >= SENTIMENT_MIN_CONFIDENCE);
  const share = (part: number, all: number): string => `${((100 * part) / Math.max(1, all)).toFixed(1)} %`;
  const right = (of: typeof answers): string => share(of.filter(({ isRight }) => isRight).length, of.length);
  const byWords = contexts.filter(({ messages, label }) => countedMood(messages.map(({ text }) => text).join(" ")) === label).length;
  return `| ${name} | ${contexts.length} | ${right(answers)} | ${share(byWords, contexts.length)} | ${share(confident.length, answers.length)} | ${right(confident)} |`;
}

/** The baseline: whether there are more good words in it than bad ones. */
function countedMood(text: string): number {
  const lower = ` ${text.toLowerCase().replace(/[^a-z' ]/g, " ")} `;
  const count = (words: readonly string[]): number => words.filter((word) => lower.includes(` ${word} `)).length;
  const balance =
    count([...LEXICON.good, ...LEXICON.pleased, ...LEXICON.praise]) - count([...LEXICON.bad, ...LEXICON.upset, ...LEXICON.complaint]);
  return MOODS.indexOf(balance > 0 ? "positive" : balance < 0 ? "negative" : "neutral");
}
