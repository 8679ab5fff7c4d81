/**
 * What the sentiment model is told of a conversation: words, word pairs and beginnings of words of what people said, each
 * as the number of a bucket that it hashes into. Pure and bounded: as many numbers, whatever was said. A number cannot be
 * turned back into a word, so nothing that somebody wrote goes on with a call. Training reads the same function.
 *
 * Source: K. Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009; the scope of a negation
 * after B. Pang, L. Lee, S. Vaithyanathan, "Thumbs up? Sentiment Classification using Machine Learning", EMNLP 2002.
 */

/** Buckets are 1 to 16,383; 0 fills up. */
export const SENTIMENT_BUCKETS = 16_384;
export const SENTIMENT_TOKENS = 192;

export interface Utterance {
  readonly role: string;
  readonly text: string;
}

/** Who has no mood that counts. */
const MACHINES: ReadonlySet<string> = new Set(["assistant", "system", "tool", "function", "agent", "bot"]);
/** Of one message; what comes behind is not read. */
const WORDS_MAX = 60;
const CHARS_MAX = 1_000;
const NEGATIONS: ReadonlySet<string> = new Set(
  "not no never nobody nothing neither nor without hardly barely cannot cant dont doesnt didnt isnt wasnt arent werent wont wouldnt couldnt shouldnt hasnt havent aint".split(
    " ",
  ),
);
/** Words that a negation reaches, unless a clause ends before. */
const NEGATED_WORDS = 3;
const ENDS_CLAUSE: ReadonlySet<string> = new Set([".", ",", ";", ":", "!", "?", "but", "and", "because", "although", "so"]);
/** Words longer than that also count by their beginning, so that "disappointing" is known by "disappointed". */
const STEM_CHARS = 5;

const TOKEN = /:-?[()D/|]|\p{Extended_Pictographic}|\p{L}[\p{L}']*|[!?]+|[.,;:]/gu;

/** Exactly SENTIMENT_TOKENS buckets, the newest message first. */
export function sentimentTokens(messages: readonly Utterance[]): number[] {
  const people = messages.filter(({ role }) => !MACHINES.has(role.toLowerCase()));
  const buckets: number[] = [];
  for (let i = people.length - 1; i >= 0 && buckets.length < SENTIMENT_TOKENS; i--) {
    const isLast = i === people.length - 1;
    for (const token of tokensOf(people[i]!.text, isLast)) {
      if (buckets.length === SENTIMENT_TOKENS) break;
      buckets.push(bucketOf(token));
    }
  }
  return [...buckets, ...new Array<number>(SENTIMENT_TOKENS - buckets.length).fill(0)];
}

/** Of the last message the words count once more by themselves: it says how the conversation stands. */
function tokensOf(text: string, isLast: boolean): string[] {
  const found = plain(text).match(TOKEN)?.slice(0, WORDS_MAX) ?? [];
  const tokens: string[] = [];
  let negated = 0;
  let before = "";
  for (const word of found) {
    if (ENDS_CLAUSE.has(word[0]!) || ENDS_CLAUSE.has(word)) {
      negated = 0;
      before = "";
      if (word[0] === "!" || word.length > 1) tokens.push(word.slice(0, 2));
      continue;
    }
    const marked = negated > 0 ? `not ${word}` : word;
    tokens.push(marked);
    if (isLast) tokens.push(`last: ${marked}`);
    if (word.length > STEM_CHARS + 1) tokens.push(`${negated > 0 ? "not " : ""}${word.slice(0, STEM_CHARS)}~`);
    if (before !== "") tokens.push(`${before}_${word}`);
    before = word;
    negated = isNegation(word) ? NEGATED_WORDS : Math.max(0, negated - 1);
  }
  return tokens;
}

function isNegation(word: string): boolean {
  return word.endsWith("n't") || NEGATIONS.has(word);
}

/** Small letters, plain apostrophes, and no letter more than twice in a row. */
function plain(text: string): string {
  return text
    .slice(0, CHARS_MAX)
    .toLowerCase()
    .replaceAll("’", "'")
    .replace(/(\p{L})\1{2,}/gu, "$1$1");
}

/** FNV-1a over the units of UTF-16. */
function bucketOf(token: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < token.length; i++) hash = Math.imul(hash ^ token.charCodeAt(i), 0x01000193);
  // The low bits of FNV are the weaker ones.
  return 1 + ((((hash >>> 16) ^ hash) >>> 0) % (SENTIMENT_BUCKETS - 1));
}
