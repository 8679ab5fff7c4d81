/** `tidemark dev [app.ts]`: an app that is being written. What it does is in `dev-command.ts`, loaded when it runs. */
import { command, optional } from "../framework/command.ts";

export const dev = command({
  name: "dev",
  summary: "A nats-server and one node of your app, which follows the app's files",
  details: [
    "It starts a real nats-server unless TIDEMARK_NATS_URL names one, prints the outputs as they come, and puts each new build of the app in the place of the one that runs. One that does not load is told of, and the one that runs goes on.",
  ],
  arguments: {
    app: optional("module whose default export is a job or an array of jobs; ./app.ts, else the shipped jobs, when not given", {
      file: true,
    }),
  },
  options: {},
  examples: [{ line: "tidemark dev app.ts", says: "Serves on port 7070 until Ctrl-C" }],
  ends: "by-itself",
  async run({ args }) {
    const { devCommand } = await import("../dev-command.ts");
    return await devCommand(args.app);
  },
});
