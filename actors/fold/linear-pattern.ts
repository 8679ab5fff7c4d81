/**
 * Patterns of activated schemas, matched in time linear in the text. Whoever publishes chooses the text, and a schema
 * that is in the log cannot be taken out of it: with a matcher that goes back and tries again, one event could hold its
 * partition up for ever. So all ways through a pattern are followed at once, a character at a time.
 *
 * Syntax and meaning are those of JavaScript's regular expressions with the flag `u`, without look-around,
 * back-references, word boundaries and flags within.
 *
 * Source: Ken Thompson, "Regular Expression Search Algorithm", 1968.
 */
import { PATTERN_MAX_CHARS } from "./bounds.ts";

export interface LinearPattern {
  /** What a character of a text may cost. */
  readonly size: number;
  test(text: string): boolean;
}

type Node =
  | { readonly kind: "character"; readonly accepts: (code: number) => boolean }
  | { readonly kind: "begin" }
  | { readonly kind: "end" }
  | { readonly kind: "sequence" | "choice"; readonly parts: readonly Node[] }
  | { readonly kind: "repeat"; readonly part: Node; readonly min: number; readonly max: number };

/** Where a match may stand: before a character, at a fork, at an edge of the text, or at its end. */
interface State {
  readonly kind: "character" | "fork" | "begin" | "end" | "match";
  readonly accepts: (code: number) => boolean;
  readonly next: number;
  /** The other way of a fork; set behind its making for one that closes a loop. */
  other: number;
}

class NotUnderstood extends Error {}

/** Gives the reason when the text is no pattern, has what is not understood, or costs more than `sizeMax`. */
export function linearPattern(source: string, sizeMax: number): LinearPattern | string {
  if (source.length > PATTERN_MAX_CHARS) return `it has more than ${PATTERN_MAX_CHARS} characters`;
  try {
    new RegExp(source, "u");
  } catch {
    return "it is no regular expression with the flag u";
  }
  try {
    const program = new Program(sizeMax);
    const start = program.add(new Parser(source).choice(), program.state("match", -1));
    return new Matcher(program.states, start, program.size);
  } catch (error) {
    if (error instanceof NotUnderstood) return error.message;
    throw error;
  }
}

const CHARACTER =
  /\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|\\u\{[\da-fA-F]+\}|\\u[\da-fA-F]{4}|\\x[\da-fA-F]{2}|\\[pP]\{[^}]*\}|\\c[a-zA-Z]|\\[^kbB1-9]|\[(?:\\.|[^\]\\])*\]|[^\\[\]()*+?{}|^$]/suy;
const QUANTIFIER = /(?:([*+?])|\{(\d+)(,(\d*))?\})\??/y;
const GROUP = /\((?:\?(?::|<[^=!>][^>]*>))?/y;

/** Reads what RegExp has found to be right, so that it need not say what is wrong, only what is not understood. */
class Parser {
  readonly #source: string;
  readonly #characters = new Map<string, (code: number) => boolean>();
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  choice(): Node {
    const parts = [this.#sequence()];
    while (this.#source[this.#at] === "|") {
      this.#at++;
      parts.push(this.#sequence());
    }
    return parts.length === 1 ? parts[0]! : { kind: "choice", parts };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    while (this.#at < this.#source.length && this.#source[this.#at] !== "|" && this.#source[this.#at] !== ")") {
      const part = this.#part();
      const quantifier = this.#take(QUANTIFIER);
      parts.push(quantifier === undefined ? part : { kind: "repeat", part, ...timesOf(quantifier) });
    }
    return parts.length === 1 ? parts[0]! : { kind: "sequence", parts };
  }

  #part(): Node {
    const from = this.#at;
    const first = this.#source[from];
    if (first === "^" || first === "$") {
      this.#at++;
      return first === "^" ? { kind: "begin" } : { kind: "end" };
    }
    if (first === "(" && this.#source[this.#take(GROUP) === undefined ? from : this.#at] !== "?") {
      const group = this.choice();
      this.#at++;
      return group;
    }
    const character = this.#take(CHARACTER)?.[0];
    if (character === undefined)
      throw new NotUnderstood(`"${this.#source.slice(from, from + 4)}" at ${from} is not understood in a pattern`);
    const accepts = this.#characters.get(character) ?? characterOf(character);
    this.#characters.set(character, accepts);
    return { kind: "character", accepts };
  }

  #take(token: RegExp): RegExpExecArray | undefined {
    token.lastIndex = this.#at;
    const found = token.exec(this.#source) ?? undefined;
    if (found !== undefined) this.#at = token.lastIndex;
    return found;
  }
}

function timesOf([, sign, min, more, max]: RegExpExecArray): { readonly min: number; readonly max: number } {
  if (sign !== undefined) return { min: sign === "+" ? 1 : 0, max: sign === "?" ? 1 : Number.POSITIVE_INFINITY };
  const least = Number(min);
  return { min: least, max: more === undefined ? least : max === "" ? Number.POSITIVE_INFINITY : Number(max) };
}

/** What one character may be is RegExp's to say: it has nothing to go back over. */
function characterOf(source: string): (code: number) => boolean {
  const pattern = new RegExp(`^${source}$`, "u");
  const ascii = Array.from({ length: 128 }, (_, code) => pattern.test(String.fromCharCode(code)));
  return (code) => ascii[code] ?? pattern.test(String.fromCodePoint(code));
}

const NOTHING = (_code: number): boolean => false;

class Program {
  readonly states: State[] = [];
  size = 0;
  readonly #sizeMax: number;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  state(kind: State["kind"], next: number, other = -1, accepts = NOTHING): number {
    return this.states.push({ kind, accepts, next, other }) - 1;
  }

  /** Adds a node that goes on at the state `next`; gives where it begins. */
  add(node: Node, next: number): number {
    // Every node counts, also one that adds no state: repeated often enough it would take its time too.
    if (++this.size > this.#sizeMax) throw new NotUnderstood("it is too large with its repetitions written out");
    if (node.kind === "character") return this.state("character", next, -1, node.accepts);
    if (node.kind === "begin" || node.kind === "end") return this.state(node.kind, next);
    if (node.kind === "repeat") return this.#repeat(node, next);
    if (node.kind === "sequence") return node.parts.reduceRight((to, part) => this.add(part, to), next);
    return node.parts.map((part) => this.add(part, next)).reduceRight((other, way) => this.state("fork", way, other));
  }

  #repeat({ part, min, max }: Node & { readonly kind: "repeat" }, next: number): number {
    let to = next;
    if (max === Number.POSITIVE_INFINITY) {
      to = this.state("fork", next);
      this.states[to]!.other = this.add(part, to);
    } else for (let times = min; times < max; times++) to = this.state("fork", next, this.add(part, to));
    for (let times = 0; times < min; times++) to = this.add(part, to);
    return to;
  }
}

class Matcher implements LinearPattern {
  readonly size: number;
  readonly #states: readonly State[];
  readonly #start: number;
  /** By state the step at which it was last reached. */
  readonly #reached: number[];
  #step = 0;

  constructor(states: readonly State[], start: number, size: number) {
    this.size = size;
    this.#states = states;
    this.#start = start;
    this.#reached = states.map(() => 0);
  }

  test(text: string): boolean {
    let waiting: number[] = [];
    for (let at = 0; ; ) {
      // A match may begin anywhere.
      waiting.push(this.#start);
      const live = this.#reach(waiting, at === 0, at === text.length);
      if (live === undefined) return true;
      if (at === text.length) return false;
      const code = text.codePointAt(at)!;
      at += code > 0xffff ? 2 : 1;
      waiting = [];
      for (const { accepts, next } of live) if (accepts(code)) waiting.push(next);
    }
  }

  /** The states before a character that can be come to from those that wait; `undefined` when one of them is a match. */
  #reach(waiting: number[], atBegin: boolean, atEnd: boolean): readonly State[] | undefined {
    const step = ++this.#step;
    const live: State[] = [];
    for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
      if (this.#reached[number] === step) continue;
      this.#reached[number] = step;
      const state = this.#states[number]!;
      if (state.kind === "match") return undefined;
      if (state.kind === "character") live.push(state);
      else if (state.kind === "fork") waiting.push(state.next, state.other);
      else if (state.kind === "begin" ? atBegin : atEnd) waiting.push(state.next);
    }
    return live;
  }
}
