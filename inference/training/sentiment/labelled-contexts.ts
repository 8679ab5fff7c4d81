/**
 * Conversations with the mood of the person in them. The mood is the last one that they showed: a question behind a
 * complaint takes nothing back, a word of thanks does. The same options always give the same conversations.
 */
import { sentimentTokens, type Utterance } from "../../../actors/conversations/sentiment-features.ts";
import { Noise } from "../noise.ts";
import { DOMAINS, type Domain, LEXICON, type Slot } from "./lexicon.ts";
import { CLOSERS, type Mood, NEGATIONS, OPENERS, type Templates } from "./templates.ts";

export const MOODS: readonly Mood[] = ["negative", "neutral", "positive"];

export interface LabelledContext {
  readonly messages: readonly Utterance[];
  readonly tokens: readonly number[];
  /** Index in MOODS. */
  readonly label: number;
}

const LETTERS = [..."abcdefghijklmnopqrstuvwxyzäöüéß"];

const ANSWERS = [
  "I am sorry about that. I take a look.",
  "Let me check this for you.",
  "Thank you for your patience.",
  "A colleague takes care of it.",
  "Great, is there anything else?",
  "Unfortunately there is a problem with it. We work on it.",
  "I have looked at it. There is news.",
];

export function labelledContexts(seed: number, count: number, templates: Templates): LabelledContext[] {
  const noise = new Noise(seed);
  return Array.from({ length: count }, () => contextOf(noise, templates));
}

function contextOf(noise: Noise, templates: Templates): LabelledContext {
  const domain = pick(Object.keys(DOMAINS) as Domain[], noise);
  const label = Math.floor(noise.uniform() * MOODS.length);
  const messages: Utterance[] = [];
  for (const mood of moodsOf(MOODS[label]!, noise)) {
    const sentences = Array.from({ length: noise.uniform() < 0.25 ? 2 : 1 }, () => sentence(mood, domain, noise, templates));
    messages.push({ role: noise.uniform() < 0.5 ? "user" : "customer", text: written(sentences, noise) });
    if (noise.uniform() < 0.7) messages.push({ role: "assistant", text: pick(ANSWERS, noise) });
  }
  return { messages, tokens: sentimentTokens(messages), label };
}

/** What somebody shows from message to message who ends in this mood. */
function moodsOf(mood: Mood, noise: Noise): Mood[] {
  const length = 1 + noise.poisson(1.6);
  if (mood === "neutral") return new Array<Mood>(length).fill("neutral");
  const turns = noise.uniform() < 0.25;
  const other: Mood = mood === "positive" ? "negative" : "positive";
  const shown = Math.floor(noise.uniform() * length);
  return Array.from({ length }, (_, i) => {
    if (i === shown) return mood;
    if (i > shown) return noise.uniform() < 0.5 ? mood : "neutral";
    return turns ? (noise.uniform() < 0.5 ? other : "neutral") : noise.uniform() < 0.3 ? mood : "neutral";
  });
}

function sentence(mood: Mood, domain: Domain, noise: Noise, templates: Templates): string {
  const said = pick(templates[mood], noise).replace(/\{(\w+)\}/g, (_, slot: string) => filled(slot, domain, noise));
  const opener = noise.uniform() < 0.3 ? pick(OPENERS, noise) : "";
  return opener + said + (noise.uniform() < 0.2 && !said.endsWith("?") ? pick(CLOSERS, noise) : "");
}

function filled(slot: string, domain: Domain, noise: Noise): string {
  if (slot === "not") return pick(NEGATIONS, noise);
  // Names that nobody has heard of, so that an unknown word is no sign of a mood.
  if (slot === "thing" && noise.uniform() < 0.25) return unknownWords(noise);
  if (slot === "thing" || slot === "staff") return pick(DOMAINS[domain][slot], noise);
  // What is weakly meant is meant still.
  if (slot === "very" && noise.uniform() < 0.2) return pick(LEXICON.slightly, noise);
  return pick(LEXICON[slot as Slot], noise);
}

function unknownWords(noise: Noise): string {
  const word = (): string => Array.from({ length: 3 + Math.floor(noise.uniform() * 7) }, () => pick(LETTERS, noise)).join("");
  return Array.from({ length: 1 + Math.floor(noise.uniform() * 3) }, word).join(" ");
}

/** As people write: capitals here and there, no apostrophe, one exclamation mark too many. */
function written(sentences: readonly string[], noise: Noise): string {
  let text = sentences.join(noise.uniform() < 0.7 ? ". " : " ");
  if (noise.uniform() < 0.5) text = text.slice(0, 1).toUpperCase() + text.slice(1);
  if (noise.uniform() < 0.05) text = text.toUpperCase();
  if (noise.uniform() < 0.2) text = text.replaceAll("'", "");
  const end = noise.uniform();
  return text.endsWith("?") ? text : text + (end < 0.4 ? "" : end < 0.75 ? "." : end < 0.92 ? "!" : "!!!");
}

function pick<T>(choices: readonly T[], noise: Noise): T {
  return choices[Math.floor(noise.uniform() * choices.length)]!;
}
