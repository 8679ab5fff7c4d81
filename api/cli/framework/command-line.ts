/**
 * From words to a call: which command is meant, and its arguments and options as declared. Everything that is not
 * declared is refused with USAGE_INVALID, naming the nearest thing that is.
 */
import { parseArgs } from "node:util";
import { type Argument, type Command, type Option, usageError } from "./command.ts";
import { COMMON_OPTIONS, type CommonOptions } from "./common-options.ts";
import { nearest } from "./suggestion.ts";

/** What the words ask for: one command, or help about one, about a group, or about all. */
export type Asked =
  | { readonly kind: "call"; readonly command: Command; readonly line: CommandLine }
  | { readonly kind: "help"; readonly command: Command }
  | { readonly kind: "group-help"; readonly group: string }
  | { readonly kind: "overview" }
  | { readonly kind: "version" };

export interface CommandLine {
  readonly args: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly common: CommonOptions;
}

type Options = Readonly<Record<string, Option<unknown>>>;

export function readCommandLine(words: readonly string[], commands: readonly Command[]): Asked {
  const { before, after } = leadingOptions(words);
  if (before.includes("--version")) return { kind: "version" };
  const [first, ...more] = after;
  if (first === undefined) {
    readOptions(before, {});
    return { kind: "overview" };
  }
  if (first === "help") return helpAbout(more, commands);
  const found = findCommand(after, commands);
  if ("group" in found) {
    if (found.words.some((word) => word === "--help")) return { kind: "group-help", group: found.group };
    throw usageError(`"${found.group}" is a group of commands: ${found.members.join(", ")}.`);
  }
  const given = [...before, ...found.words];
  const line = readWords(found.command, given);
  return line === "help" ? { kind: "help", command: found.command } : { kind: "call", command: found.command, line };
}

/** Common options may stand before the command too: they are of every one. */
function leadingOptions(words: readonly string[]): { readonly before: readonly string[]; readonly after: readonly string[] } {
  let at = 0;
  while (at < words.length && words[at]!.startsWith("-") && words[at] !== "-") {
    const name = words[at]!.slice(2);
    const option = Object.hasOwn(COMMON_OPTIONS, name) ? COMMON_OPTIONS[name as keyof CommonOptions] : undefined;
    at += option?.placeholder === undefined ? 1 : 2;
  }
  return { before: words.slice(0, at), after: words.slice(at) };
}

function helpAbout(words: readonly string[], commands: readonly Command[]): Asked {
  if (words.length === 0) return { kind: "overview" };
  const found = findCommand(words, commands);
  return "group" in found ? { kind: "group-help", group: found.group } : { kind: "help", command: found.command };
}

type Found =
  | { readonly command: Command; readonly words: readonly string[] }
  | { readonly group: string; readonly members: readonly string[]; readonly words: readonly string[] };

function findCommand(words: readonly string[], commands: readonly Command[]): Found {
  const [first = "", second] = words;
  // What lists may have commands below it: `nodes` and `nodes drain`.
  const two = commands.find(({ name }) => name === `${first} ${second}`);
  if (two !== undefined) return { command: two, words: words.slice(2) };
  const one = commands.find(({ name }) => name === first);
  if (one !== undefined) return { command: one, words: words.slice(1) };
  const members = commands.map(({ name }) => name).filter((name) => name.startsWith(`${first} `));
  if (members.length === 0) {
    const known = [...new Set(commands.map(({ name }) => name.split(" ")[0]!)), "help"];
    throw usageError(unknown(`command "${first}"`, nearest(first, known)));
  }
  if (second === undefined || second.startsWith("-")) return { group: first, members, words: words.slice(1) };
  const near = nearest(
    second,
    members.map((name) => name.slice(first.length + 1)),
  );
  throw usageError(unknown(`command "${first} ${second}"`, near === undefined ? undefined : `${first} ${near}`));
}

function readWords(command: Command, words: readonly string[]): CommandLine | "help" {
  const { options, common, positionals } = readOptions(words, command.options);
  if (common.help) return "help";
  return { args: readArguments(command, positionals), options, common };
}

function readOptions(words: readonly string[], declared: Options) {
  const all: Options = { ...declared, ...COMMON_OPTIONS };
  const types = Object.fromEntries(
    Object.entries(all).map(([name, { placeholder }]) => [name, { type: placeholder === undefined ? "boolean" : "string" } as const]),
  );
  // Not strict: what is wrong is said in our words below, with a suggestion.
  const { tokens } = parseArgs({ args: [...words], options: types, allowPositionals: true, strict: false, tokens: true });
  const values: Record<string, unknown> = Object.fromEntries(Object.entries(all).map(([name, { fallback }]) => [name, fallback]));
  const given = new Set<string>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const option = Object.hasOwn(all, token.name) && token.rawName.startsWith("--") ? all[token.name] : undefined;
    if (option === undefined) {
      const near = nearest(token.name, Object.keys(all));
      throw usageError(unknown(`option "${token.rawName}"`, near === undefined ? undefined : `--${near}`));
    }
    if (given.has(token.name)) throw usageError(`--${token.name} is given twice.`);
    given.add(token.name);
    values[token.name] = readValue(token.name, option, token.value, token.inlineValue === true);
  }
  const common = Object.fromEntries(Object.keys(COMMON_OPTIONS).map((name) => [name, values[name]])) as unknown as CommonOptions;
  const options = Object.fromEntries(Object.keys(declared).map((name) => [name, values[name]]));
  return { options, common, positionals };
}

function readValue(name: string, option: Option<unknown>, written: string | undefined, inline: boolean): unknown {
  if (option.placeholder === undefined) {
    if (written !== undefined) throw usageError(`--${name} takes no value.`);
    return option.read("");
  }
  // The next word is taken for a value only when it is none of the options: `--batch --rate 5` forgot one.
  if (written === undefined || (!inline && written.startsWith("-") && written !== "-"))
    throw usageError(`--${name} needs a value: --${name} ${option.placeholder}; one that begins with "-" is written --${name}=….`);
  try {
    return option.read(written);
  } catch (error) {
    throw usageError(`--${name} "${written}": ${error instanceof Error ? error.message : String(error)}.`);
  }
}

function readArguments(command: Command, words: readonly string[]): Readonly<Record<string, unknown>> {
  const values: Record<string, unknown> = {};
  let at = 0;
  for (const [name, argument] of Object.entries(command.arguments)) {
    if (argument.kind === "rest") {
      values[name] = words.slice(at);
      at = words.length;
      continue;
    }
    const word = words[at++];
    if (argument.kind === "required" && (word === undefined || word === ""))
      throw usageError(`${command.name}: ${written(name, argument)} is missing: ${argument.summary}.`);
    values[name] = word;
  }
  if (words.length > at) throw usageError(`${command.name}: "${words[at]}" is one argument too many.`);
  return values;
}

export function written(name: string, argument: Argument<unknown>): string {
  return argument.kind === "required" ? `<${name}>` : argument.kind === "optional" ? `[${name}]` : `[${name}…]`;
}

function unknown(what: string, near: string | undefined): string {
  return near === undefined ? `There is no ${what}.` : `There is no ${what}; did you mean "${near}"?`;
}
