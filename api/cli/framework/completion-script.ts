/**
 * Completion scripts for bash, zsh and fish, written from the records. A script holds everything it needs: completing
 * starts no process, so that it costs nothing at a keystroke. It is as old as the command that wrote it.
 */
import type { Argument, Command, Option } from "./command.ts";
import { COMMON_OPTIONS } from "./common-options.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

export function completionScript(shell: Shell, commands: readonly Command[]): string {
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](commands);
}

/** What may stand next, for a shell that asks by command: `words`, or file names. */
interface Place {
  /** A shell pattern of `<command>|<option>` or `<command>#<number of the argument>`. */
  readonly at: string;
  readonly words: readonly string[];
  readonly file: boolean;
}

function optionsOf(command: Command): readonly (readonly [string, Option<unknown>])[] {
  return Object.entries({ ...command.options, ...COMMON_OPTIONS });
}

function valuePlaces(commands: readonly Command[]): Place[] {
  return commands.flatMap((command) =>
    optionsOf(command).flatMap(([name, { placeholder, choices = [], file = false }]) =>
      placeholder === undefined ? [] : [{ at: `${command.name}|--${name}`, words: choices, file }],
    ),
  );
}

function argumentPlaces(commands: readonly Command[]): Place[] {
  return commands.flatMap((command) =>
    Object.values(command.arguments).flatMap((argument: Argument<unknown>, i) => {
      const { choices = [], file = false } = argument;
      if (choices.length === 0 && !file) return [];
      return [{ at: `${command.name}#${i}`, words: choices, file }];
    }),
  );
}

function groupsOf(commands: readonly Command[]): ReadonlyMap<string, readonly Command[]> {
  return Map.groupBy(
    commands.filter(({ name }) => name.includes(" ")),
    ({ name }) => name.split(" ")[0]!,
  );
}

function firstWords(commands: readonly Command[]): string[] {
  return [...new Set(commands.map(({ name }) => name.split(" ")[0]!)), "help"];
}

/** In single quotes for every one of the three shells. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The part that bash and zsh have in common: which command stands there, and what the word to complete is. */
function posixCases(commands: readonly Command[], words: (list: readonly string[]) => string, files: string): string {
  const options = commands.map((command) => `      ${quoted(command.name)}) ${words(optionsOf(command).map(([name]) => `--${name}`))} ;;`);
  const groups = [...groupsOf(commands)].map(
    ([group, members]) => `      ${quoted(`${group}#0`)}) ${words(members.map(({ name }) => name.slice(group.length + 1)))} ;;`,
  );
  const place = ({ at, words: list, file }: Place): string =>
    `      ${quoted(at)}) ${file ? files : list.length > 0 ? words(list) : ":"} ;;`;
  return `  if [[ -n $pending ]]; then
    case "$path|$pending" in
${valuePlaces(commands).map(place).join("\n")}
    esac
  elif [[ $cur == -* ]]; then
    case "$path" in
${options.join("\n")}
      *) ${words(Object.keys(COMMON_OPTIONS).map((name) => `--${name}`))} ;;
    esac
  elif [[ -z $path ]]; then
    ${words(firstWords(commands))}
  else
    case "$path#$count" in
${[...groups, ...argumentPlaces(commands).map(place)].join("\n")}
    esac
  fi`;
}

/** Reads the words before the one to complete into path, count (arguments so far) and pending (an option that waits for its value). */
function posixScan(commands: readonly Command[]): string {
  const members = [...groupsOf(commands).values()].flat().map(({ name }) => quoted(name));
  const valued = [...new Set(valuePlaces(commands).map(({ at }) => at.slice(at.indexOf("|") + 1)))];
  return `    if [[ -n $pending ]]; then pending=; continue; fi
    case "$word" in
      ${valued.join("|")}) pending=$word ;;
      -?*) ;;
      *)
        if [[ -z $path ]]; then path=$word; continue; fi
        case "$path $word" in
          ${members.length === 0 ? "''" : members.join("|")}) path="$path $word" ;;
          *) count=$((count + 1)) ;;
        esac ;;
    esac`;
}

function bashScript(commands: readonly Command[]): string {
  const words = (list: readonly string[]): string => `COMPREPLY=($(compgen -W ${quoted(list.join("\n"))} -- "$cur"))`;
  const files = `compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur"))`;
  return `# bash completion of tidemark: source it, or save it as tidemark in the folder of bash-completion.
_tidemark() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path= pending= count=0 word i
  # Names may have spaces, and words are offered one a line: mapfile would do, but macOS has a bash without it.
  local IFS=$'\\n'
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
${posixScan(commands)}
  done
${posixCases(commands, words, files)}
}
complete -F _tidemark tidemark
`;
}

function zshScript(commands: readonly Command[]): string {
  const words = (list: readonly string[]): string => `compadd -- ${list.map(quoted).join(" ")}`;
  return `#compdef tidemark
# zsh completion of tidemark: source it after compinit, or save it as _tidemark in a folder of fpath.
_tidemark() {
  local cur=\${words[CURRENT]} path_= pending= count=0 word i
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
${inZsh(posixScan(commands))}
  done
${inZsh(posixCases(commands, words, "_files"))}
}
if [[ $funcstack[1] == _tidemark ]]; then _tidemark "$@"; else compdef _tidemark tidemark; fi
`;
}

/** In zsh \`path\` is the search path of the shell itself. */
function inZsh(script: string): string {
  return script.replaceAll("$path", "$path_").replaceAll("path=", "path_=");
}

function fishScript(commands: readonly Command[]): string {
  const lines = ["# fish completion of tidemark: save it as tidemark.fish in a completions folder of fish.", "complete -c tidemark -f"];
  const groups = groupsOf(commands);
  const seen = new Set<string>();
  for (const command of commands) {
    const [first = "", second] = command.name.split(" ");
    const here =
      second === undefined
        ? `__fish_seen_subcommand_from ${first}`
        : `__fish_seen_subcommand_from ${first}; and __fish_seen_subcommand_from ${second}`;
    if (!seen.has(first)) {
      seen.add(first);
      const says =
        second === undefined
          ? command.summary
          : `Commands: ${groups
              .get(first)!
              .map(({ name }) => name.split(" ")[1])
              .join(", ")}`;
      lines.push(`complete -c tidemark -n __fish_use_subcommand -a ${first} -d ${fishQuoted(says)}`);
    }
    if (second !== undefined) {
      const others = groups.get(first)!.map(({ name }) => name.split(" ")[1]);
      const before = `__fish_seen_subcommand_from ${first}; and not __fish_seen_subcommand_from ${others.join(" ")}`;
      lines.push(`complete -c tidemark -n ${fishQuoted(before)} -a ${second} -d ${fishQuoted(command.summary)}`);
    }
    for (const [name, option] of Object.entries(command.options)) lines.push(fishOption(`-n ${fishQuoted(here)}`, name, option));
    for (const argument of Object.values(command.arguments)) {
      if (argument.file === true) lines.push(`complete -c tidemark -n ${fishQuoted(here)} -F`);
      if (argument.choices !== undefined)
        lines.push(`complete -c tidemark -n ${fishQuoted(here)} -a ${fishQuoted(argument.choices.join(" "))}`);
    }
  }
  for (const [name, option] of Object.entries(COMMON_OPTIONS)) lines.push(fishOption("", name, option));
  return `${lines.join("\n")}\n`;
}

function fishOption(condition: string, name: string, option: Option<unknown>): string {
  const { placeholder, choices, file, summary } = option;
  const value =
    placeholder === undefined ? "" : file === true ? " -r -F" : choices === undefined ? " -x" : ` -x -a ${fishQuoted(choices.join(" "))}`;
  return `complete -c tidemark ${condition === "" ? "" : `${condition} `}-l ${name}${value} -d ${fishQuoted(summary)}`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
