/**
 * What a command is: a record, from which parsing, `--help`, completion and docs/cli.md all come. What is not declared
 * here does not exist: a command sees its arguments and options as typed values and never a raw word.
 */
import { TidemarkError } from "../../../runtime/errors.ts";
import type { ApiClient } from "../client/api-client.ts";
import type { ProgramStreams, Terminal } from "../terminal/terminal.ts";

export interface Option<T> {
  readonly summary: string;
  /** What stands for the value in help, like `N`; undefined for a flag. */
  readonly placeholder?: string;
  /** The value when the option is not given. */
  readonly fallback: T;
  /** As help shows it; undefined when there is nothing to tell. */
  readonly default?: string;
  readonly choices?: readonly string[];
  /** Completed by file names. */
  readonly file?: boolean;
  /** Throws with what to write instead. */
  readonly read: (text: string) => T;
}

export interface Argument<T> {
  readonly summary: string;
  readonly kind: "required" | "optional" | "rest";
  readonly choices?: readonly string[];
  readonly file?: boolean;
  /** Never in the way of anything: carries the type of the value. */
  readonly value?: T;
}

type Options = Readonly<Record<string, Option<unknown>>>;
type Arguments = Readonly<Record<string, Argument<unknown>>>;
type OptionValues<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never };
type ArgumentValues<A extends Arguments> = { readonly [K in keyof A]: A[K] extends Argument<infer T> ? T : never };

export interface Example {
  readonly line: string;
  readonly says: string;
}

/** One run of a command. */
interface Call<A extends Arguments, O extends Options> {
  readonly args: ArgumentValues<A>;
  readonly options: OptionValues<O>;
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: ProgramStreams["stdin"];
  /** Aborted at Ctrl-C, SIGTERM, or when nobody reads stdout any more; its reason is a {@link Stop}. Only with `ends: "when-told"`. */
  readonly signal: AbortSignal;
  /** `--token-file`, for a command that looks at the file itself. */
  readonly tokenFile: string | undefined;
  /** The API that `--url` or the settings name. Throws USAGE_INVALID or CONFIG_INVALID; asks nothing yet. */
  api(): ApiClient;
}

export type Stop = "SIGINT" | "SIGTERM" | "EPIPE";

interface Shape<A extends Arguments, O extends Options> {
  /** One word, or two for a command of a group. */
  readonly name: string;
  /** One line, no full stop. */
  readonly summary: string;
  /** More for `--help` and the docs: sentences, one paragraph each. */
  readonly details?: readonly string[];
  /** In their order on the command line. */
  readonly arguments: A;
  readonly options: O;
  readonly examples: readonly Example[];
  /**
   * What ends it: `at-once` (default) Ctrl-C ends the process with 130; `when-told` the first Ctrl-C, SIGTERM or closed pipe aborts
   * `signal` and the command finishes, the second Ctrl-C ends the process; `by-itself` it listens to signals itself.
   */
  readonly ends?: "at-once" | "when-told" | "by-itself";
  /** Resolves with the exit code: 0 ok, 1 failed. What it throws is told on stderr, and the code is 1, or 2 for USAGE_INVALID. */
  readonly run: (call: Call<A, O>) => Promise<number>;
}

export type Command = Shape<Arguments, Options>;

export function command<const A extends Arguments, const O extends Options>(shape: Shape<A, O>): Command {
  // The framework hands every command exactly the values that its own record declares.
  return shape as unknown as Command;
}

export function flag(summary: string): Option<boolean> {
  return { summary, fallback: false, read: () => true };
}

export function text(placeholder: string, summary: string): Option<string | undefined> {
  return { summary, placeholder, fallback: undefined, read: notEmpty };
}

export function file(placeholder: string, summary: string): Option<string | undefined> {
  return { summary, placeholder, fallback: undefined, file: true, read: notEmpty };
}

/** A whole number; without a fallback it is undefined when not given. */
export function whole<const F extends number | undefined>(
  placeholder: string,
  summary: string,
  range: { readonly min: number; readonly max: number; readonly fallback?: F },
): Option<number | (F extends number ? never : undefined)> {
  const { min, max, fallback } = range;
  return {
    summary,
    placeholder,
    fallback: fallback as F extends number ? never : undefined,
    ...(fallback === undefined ? {} : { default: String(fallback) }),
    read(written) {
      const value = /^\d{1,16}$/.test(written) ? Number(written) : Number.NaN;
      if (value >= min && value <= max) return value;
      throw new TypeError(`write a whole number from ${min} to ${max}`);
    },
  };
}

/** One of a few words; without a fallback it is undefined when not given. */
export function choice<const C extends string, const F extends C | undefined = undefined>(
  choices: readonly C[],
  summary: string,
  fallback?: F,
): Option<C | (F extends C ? never : undefined)> {
  return {
    summary,
    placeholder: choices.join("|"),
    choices,
    fallback: fallback as F extends C ? never : undefined,
    ...(fallback === undefined ? {} : { default: fallback }),
    read(written) {
      const found = choices.find((each) => each === written);
      if (found !== undefined) return found;
      throw new TypeError(`write ${choices.join(" or ")}`);
    },
  };
}

/** A value with a reader of its own, which throws with what to write instead. */
export function parsed<T>(placeholder: string, summary: string, read: (written: string) => T): Option<T | undefined> {
  return { summary, placeholder, fallback: undefined, read };
}

type Completion = Pick<Argument<unknown>, "choices" | "file">;

export function required(summary: string, completion: Completion = {}): Argument<string> {
  return { summary, kind: "required", ...completion };
}

export function optional(summary: string, completion: Completion = {}): Argument<string | undefined> {
  return { summary, kind: "optional", ...completion };
}

/** Any number of words, none too. */
export function rest(summary: string, completion: Completion = {}): Argument<readonly string[]> {
  return { summary, kind: "rest", ...completion };
}

/** What the caller wrote cannot be meant: exit code 2. */
export function usageError(detail: string): TidemarkError {
  return new TidemarkError("USAGE_INVALID", detail);
}

function notEmpty(written: string): string {
  if (written !== "") return written;
  throw new TypeError("it is empty");
}
