/** `tidemark init [folder] [--tidemark <spec>]`: a small project that works, and what to do next. Installs nothing itself. */
import { relative } from "node:path";
import { parseArgs } from "node:util";
import { isTidemarkError } from "../../runtime/errors.ts";
import { createProject, type Project } from "./new-project.ts";

const USAGE = `Usage: tidemark init [folder] [--tidemark <spec>]
Makes a small project: a job with one actor, its test, and a README that says how to publish to it.
folder: empty, or not there yet; default: the current one.
--tidemark: the dependency as package.json names it, like file:../tidemark-0.1.0.tgz; default: this version.
`;

export async function initCommand(args: readonly string[]): Promise<number> {
  const given = readArguments(args);
  if (typeof given === "string") {
    process.stderr.write(`tidemark init: ${given}\n\n${USAGE}`);
    return 2;
  }
  if (given.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  try {
    process.stdout.write(nextSteps(createProject({ folder: given.folder, tidemark: given.tidemark })));
    return 0;
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    process.stderr.write(`tidemark: ${error.message}\n`);
    return 1;
  }
}

/** A text says what is wrong with them. */
function readArguments(args: readonly string[]): string | { folder: string; tidemark: string | undefined; help: boolean } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { tidemark: { type: "string" }, help: { type: "boolean", default: false } },
      allowPositionals: true,
    });
    if (positionals.length > 1) return `one folder, not ${positionals.length}`;
    return { folder: positionals[0] ?? ".", tidemark: values.tidemark, help: values.help };
  } catch (error) {
    return (error as Error).message;
  }
}

function nextSteps({ folder, name, written }: Project): string {
  const place = relative(process.cwd(), folder);
  const done = written.length === 0 ? "is there already" : `is made: ${written.length} files`;
  const steps = [
    ...(place === "" ? [] : [`cd ${/^[\w./-]+$/.test(place) ? place : `'${place}'`}`]),
    "npm install",
    "npm test",
    "npm run dev",
  ];
  return `The project ${name} ${done}. Next:\n\n${steps.map((step) => `  ${step}\n`).join("")}\nREADME.md says how to publish to it and where to look.\n`;
}
