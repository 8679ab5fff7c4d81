/** `tidemark init [folder]`: a small project that works, and what to do next. It installs nothing itself. */
import { relative } from "node:path";
import { command, optional, text } from "../framework/command.ts";
import { createProject, type Project } from "../new-project.ts";

export const init = command({
  name: "init",
  summary: "A small project of your own: a job with an actor, its test, a README",
  details: ["The folder is empty, or not there yet. What an interrupted run has left is finished."],
  arguments: { folder: optional("where to make it; the current folder when not given", { file: true }) },
  options: {
    tidemark: text("SPEC", "the dependency as package.json names it, like file:../tidemark-0.1.0.tgz; this version when not given"),
  },
  examples: [{ line: "tidemark init my-project", says: "Then: cd my-project, npm install, npm test, npm run dev" }],
  async run({ args, options, terminal }) {
    const project = createProject({ folder: args.folder ?? ".", tidemark: options.tidemark });
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
