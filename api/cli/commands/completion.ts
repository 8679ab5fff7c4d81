/** `tidemark completion <shell>`: the completion script of a shell. */
import { command, required, usageError } from "../framework/command.ts";
import { completionScript, SHELLS, type Shell } from "../framework/completion-script.ts";

export const completion = command({
  name: "completion",
  summary: "A script that completes commands and options in bash, zsh or fish",
  details: ["Write it anew after an update: it holds the commands of this version."],
  arguments: { shell: required(`one of ${SHELLS.join(", ")}`, { choices: SHELLS }) },
  options: {},
  examples: [
    { line: "source <(tidemark completion bash)", says: "In this bash only" },
    { line: "tidemark completion fish > ~/.config/fish/completions/tidemark.fish", says: "In every fish" },
  ],
  async run({ args, terminal }) {
    const shell = SHELLS.find((each) => each === args.shell);
    if (shell === undefined) throw usageError(`completion: there is no script for "${args.shell}", only for ${SHELLS.join(", ")}.`);
    // Loaded now: the list of commands holds this one too.
    const { COMMANDS } = await import("../commands.ts");
    terminal.stdout.write(completionScript(shell satisfies Shell, COMMANDS));
    return 0;
  },
});
