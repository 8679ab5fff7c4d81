/** `tidemark init [folder]`: a small project that works, and what to do next. It installs nothing itself. */
import { relative } from "node:path";
import { TIDEMARK_VERSION } from "../../../runtime/own-package.ts";
import { command, optional, text, usageError } from "../framework/command.ts";
import { createProject, type Project } from "../new-project.ts";

export const init = command({
  name: "init",
  summary: "A small project of your own: a job with an actor, its test, a README",
  details: [
    "The folder is empty, or not there yet. What an interrupted run has left is finished.",
    "The package is on no registry yet: `npm pack` in a clone makes it, and --tidemark names it.",
  ],
  arguments: { folder: optional("where to make it; the current folder when not given", { file: true }) },
  options: {
    tidemark: text("SPEC", "the package: its tarball, or what package.json may have as a dependency"),
  },
  examples: [
    {
      line: "tidemark init ../my-project --tidemark tidemark-0.1.0.tgz",
      says: "In the clone, after npm pack. Then: cd ../my-project, npm install, npm test, npm run dev",
    },
  ],
  async run({ args, options, terminal }) {
    const { tidemark } = options;
    if (tidemark === undefined)
      throw usageError(
        `init: the package is on no registry yet, so npm could not install it. Make it with \`npm pack\` in a clone, and add --tidemark tidemark-${TIDEMARK_VERSION}.tgz.`,
      );
    const project = createProject({ folder: args.folder ?? ".", tidemark });
    await (terminal.json ? terminal.record(project) : terminal.line(nextSteps(project)));
    return 0;
  },
});

function nextSteps({ folder, name, written }: Project): string {
  const place = relative(process.cwd(), folder);
  const done = written.length === 0 ? "is there already" : `is made: ${written.length} files`;
  const steps = [
    ...(place === "" ? [] : [`cd ${/^[\w./-]+$/.test(place) ? place : `'${place}'`}`]),
    "npm install",
    "npm test",
    "npm run dev",
  ];
  return `The project ${name} ${done}. Next:\n\n${steps.map((step) => `  ${step}\n`).join("")}\nREADME.md says how to publish to it and where to look.`;
}
