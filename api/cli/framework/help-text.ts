/** Help as text, and as the reference in docs/cli.md: both say what the records say and nothing else. */
import type { Command, Option } from "./command.ts";
import { written } from "./command-line.ts";
import { COMMON_OPTIONS } from "./common-options.ts";

type Row = readonly [left: string, right: string];

/** Of all commands: `tidemark`, `tidemark help`, `tidemark --help`. */
export function overviewText(commands: readonly Command[]): string {
  const rows = commands.map((command): Row => [usageOf(command), command.summary]);
  return [
    "Usage: tidemark <command> [arguments] [options]",
    section("Commands", rows),
    section("Options of every command", optionRows(COMMON_OPTIONS)),
    "tidemark <command> --help says more. tidemark --version says which this is.",
    "Exit codes: 0 ok, 1 failed, 2 the command line is not understood, 130 ended by Ctrl-C.",
  ].join("\n\n");
}

export function groupText(group: string, commands: readonly Command[]): string {
  const rows = commands.filter(({ name }) => name.startsWith(`${group} `)).map((command): Row => [usageOf(command), command.summary]);
  return [`Usage: tidemark ${group} <command>`, section("Commands", rows)].join("\n\n");
}

export function commandText(command: Command): string {
  const parts = [
    `Usage: tidemark ${usageOf(command)}${Object.keys(command.options).length > 0 ? " [options]" : ""}`,
    `${command.summary}.`,
  ];
  parts.push(...(command.details ?? []).map((paragraph) => wrapped(paragraph, 0)));
  const args = Object.entries(command.arguments).map(([name, argument]): Row => [written(name, argument), argument.summary]);
  if (args.length > 0) parts.push(section("Arguments", args));
  const options = optionRows(command.options);
  if (options.length > 0) parts.push(section("Options", options));
  parts.push(section("Options of every command", optionRows(COMMON_OPTIONS)));
  if (command.examples.length > 0)
    parts.push(`Examples:\n${command.examples.map(({ line, says }) => `  ${line}\n      ${says}`).join("\n")}`);
  return parts.join("\n\n");
}

/** The part of docs/cli.md behind its introduction. */
export function referencePage(commands: readonly Command[]): string {
  return [
    "## Options of every command",
    optionTable(COMMON_OPTIONS),
    ...commands.flatMap((command) => [
      `## tidemark ${command.name}`,
      `\`\`\`\ntidemark ${usageOf(command)}\n\`\`\``,
      [`${command.summary}.`, ...(command.details ?? [])].join("\n\n"),
      ...(Object.keys(command.arguments).length === 0
        ? []
        : [
            table(
              "argument",
              Object.entries(command.arguments).map(([name, argument]) => [written(name, argument), argument.summary]),
            ),
          ]),
      ...(Object.keys(command.options).length === 0 ? [] : [optionTable(command.options)]),
      ...(command.examples.length === 0
        ? []
        : [`\`\`\`sh\n${command.examples.map(({ line, says }) => `# ${says}\n${line}`).join("\n")}\n\`\`\``]),
    ]),
  ].join("\n\n");
}

function usageOf(command: Command): string {
  const args = Object.entries(command.arguments).map(([name, argument]) => written(name, argument));
  return [command.name, ...args].join(" ");
}

function optionRows(options: Readonly<Record<string, Option<unknown>>>): Row[] {
  return Object.entries(options).map(([name, option]): Row => [optionUsage(name, option), summaryOf(option)]);
}

function optionUsage(name: string, option: Option<unknown>): string {
  return option.placeholder === undefined ? `--${name}` : `--${name} ${option.placeholder}`;
}

function summaryOf(option: Option<unknown>): string {
  return option.default === undefined ? option.summary : `${option.summary} [${option.default}]`;
}

const LEFT_MAX = 30;
const WIDTH = 100;

function section(title: string, rows: readonly Row[]): string {
  const left = Math.min(LEFT_MAX, Math.max(...rows.map(([text]) => text.length)));
  const lines = rows.map(([text, says]) => {
    const head = text.length > left ? `  ${text}\n${" ".repeat(left + 4)}` : `  ${text.padEnd(left)}  `;
    return head + wrapped(says, left + 4);
  });
  return `${title}:\n${lines.join("\n")}`;
}

/** Broken at spaces; every line after the first begins with `indent` spaces. */
function wrapped(text: string, indent: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.join(`\n${" ".repeat(indent)}`);
}

function optionTable(options: Readonly<Record<string, Option<unknown>>>): string {
  return table("option", optionRows(options));
}

function table(title: string, rows: readonly Row[]): string {
  const cell = (text: string): string => text.replaceAll("|", "\\|");
  return [`| ${title} | |`, "|---|---|", ...rows.map(([text, says]) => `| \`${cell(text)}\` | ${cell(says)} |`)].join("\n");
}
