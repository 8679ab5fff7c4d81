/**
 * The process of one build in `tidemark dev`, led by the session that forked it: loads the app, and waits to be told each next step.
 * When the session is gone it ends at once.
 */
import { resolve } from "node:path";
import type { AppModule } from "../../runtime/app.ts";
import type { FromChild, ToChild } from "../../runtime/dev/child-messages.ts";
import { hashOfFile } from "../../runtime/dev/source-watcher.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { readConfig } from "../../runtime/node/config.ts";
import { LoadedNode } from "../../runtime/node/loaded-node.ts";
import { REFUSED_EXIT_CODE } from "../../runtime/node/supervisor.ts";
import { openAccess } from "../http/app.ts";
import { flushed } from "./framework/process-signals.ts";
import { type RunningNode, serve } from "./running-node.ts";

const app = process.argv[2]!;
const files = new Map<string, AppModule>();
const onFile = (file: string): void => {
  files.set(file, { file, hash: hashOfFile(file) });
};
let running: RunningNode | undefined;

async function main(): Promise<void> {
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  onFile(resolve(app));
  const config = readConfig(process.env);
  const notice = (message: string): void => {
    process.stderr.write(`tidemark: ${message}\n`);
  };
  const access = openAccess(config.apiTokens, notice);
  const loaded = await LoadedNode.load({ config, app, onFile, notice });
  process.on("message", (message: ToChild) => {
    obey(message).catch(refuse);
  });
  tell({ kind: "loaded", build: loaded.build });

  async function obey(message: ToChild): Promise<void> {
    switch (message.kind) {
      case "prepare":
        await loaded.prepare(message.nats);
        tell({ kind: "prepared" });
        break;
      case "open":
        running = await serve(await loaded.open(), { ...config, httpPort: message.httpPort ?? config.httpPort }, access, notice);
        tell({ kind: "ready", apiUrl: running.apiUrl });
        break;
      case "hand-over": {
        const reports = await running!.node.handOver(message.jobs, (reports) => tell({ kind: "handing-over", reports }));
        tell({ kind: "handed-over", reports });
        running!.end();
      }
    }
  }
}

function tell(message: FromChild): void {
  process.send?.(message);
}

async function refuse(error: unknown): Promise<void> {
  const message: FromChild = { kind: "refused", message: messageOf(error), modules: [...files.values()] };
  await new Promise<void>((sent) => {
    process.send?.(message, () => sent());
  });
  await flushed();
  process.exit(REFUSED_EXIT_CODE);
}

/** Of an app that does not load with the place in its source, where the cause knows one; without the frames of Node and of Tidemark. */
function messageOf(error: unknown): string {
  if (!isTidemarkError(error)) return error instanceof Error ? (error.stack ?? error.message) : String(error);
  const { cause } = error;
  if (error.code !== "APP_INVALID" || !(cause instanceof Error)) return error.message;
  const lines = (cause.stack ?? cause.message).split("\n");
  const own = lines.filter((line) => !/^\s+at /.test(line) || !/\(?node:|\/runtime\/(app|node)/.test(line));
  return [error.message, ...own].join("\n").trimEnd();
}

await main().catch(refuse);
