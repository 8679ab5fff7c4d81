/**
 * `tidemark dev [app.ts]`: a nats-server unless one is named, one node with the app, its outputs as they come, and with every
 * change of its files the next build in its place. The work is `runtime/dev`'s; this is arguments, settings and what is printed.
 */
import { existsSync } from "node:fs";
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { jetstreamManager } from "@nats-io/jetstream";
import { systemClock } from "../../runtime/clock.ts";
import { DevSession } from "../../runtime/dev/dev-session.ts";
import { BuildRefused, ChildEnded } from "../../runtime/dev/node-child.ts";
import { messageWithPage } from "../../runtime/doc-page.ts";
import { isTidemarkError, TidemarkError } from "../../runtime/errors.ts";
import { connectNats, type NatsAccess } from "../../runtime/nats-connect.ts";
import { type Config, readConfig } from "../../runtime/node/config.ts";
import { natsAccess } from "../../runtime/node/nats-access.ts";
import { startOwnServer } from "../../runtime/node/own-server.ts";
import { SHIPPED_APP } from "../../runtime/own-package.ts";
import { moduleUrl } from "../../runtime/threads/thread-call.ts";
import { OutputTail } from "./output-tail.ts";

const POLL_MS = 50;

type CleanUp = (() => Promise<void>)[];

/** `given`: the app's module; without it ./app.ts, else the app with all shipped jobs. Gives the exit code: 0 when it was stopped, 1 when it could not run. */
export async function devCommand(given: string | undefined): Promise<number> {
  const cleanUp: CleanUp = [];
  try {
    const app = given ?? (existsSync("app.ts") ? "app.ts" : SHIPPED_APP);
    if (!existsSync(app)) throw new TidemarkError("APP_INVALID", `There is no app file ${app}.`);
    await dev(readConfig(process.env), app, cleanUp);
    return 0;
  } catch (error) {
    say(messageOf(error));
    return 1;
  } finally {
    for (const step of cleanUp.reverse()) await step();
  }
}

async function dev(config: Config, app: string, cleanUp: CleanUp): Promise<void> {
  if (config.profile === "production") {
    throw new TidemarkError(
      "CONFIG_INVALID",
      "TIDEMARK_PROFILE is production; `tidemark dev` deletes outputs and state, run `tidemark node`.",
    );
  }
  const stopped = stopSignal();
  const nats = new DevNats(config, cleanUp);
  let tail: OutputTail | undefined;
  const session = new DevSession({
    app,
    module: fileURLToPath(moduleUrl("./dev-node.ts", import.meta.url)),
    args: [app],
    // Every edit starts a process: with what Node compiled for the one before, it is there in about half the time.
    env: { NODE_COMPILE_CACHE: resolve(config.dataDir, "compile-cache"), ...process.env, TIDEMARK_PROFILE: "development" },
    clock: systemClock,
    notice: say,
    nats: (logs) => nats.access(logs),
    async beforeOpen({ jobs }) {
      tail ??= await nats.tail();
      await tail.begin(jobs.map(({ name }) => name));
    },
    onReady(apiUrl, { jobs, modules }) {
      say(`${jobs.map(({ name }) => name).join(", ")} ready on ${apiUrl}, process ${session.pid}`);
      say(`watching ${modules.map(({ file }) => relative(process.cwd(), file)).join(", ")}`);
    },
    stopped,
  });
  let over = false;
  const ended = session.run().finally(() => {
    over = true;
  });
  const printing = (async () => {
    for (let last = false; !last; ) {
      // Once more behind the end: what the drain published.
      last = over;
      await tail?.poll();
      if (!last) await Promise.race([systemClock.sleep(POLL_MS), ended.catch(() => {})]);
    }
  })();
  await Promise.all([ended, printing]);
}

/** The server that everything runs on: the one that is named, or one of its own, started when the first logs are known. */
class DevNats {
  readonly #config: Config;
  readonly #cleanUp: CleanUp;
  #access: NatsAccess | undefined;
  #addLogs: (logs: readonly string[]) => Promise<void> = async () => {};

  constructor(config: Config, cleanUp: CleanUp) {
    this.#config = config;
    this.#cleanUp = cleanUp;
    this.#access = natsAccess(config);
  }

  async access(logs: readonly string[]): Promise<NatsAccess> {
    if (this.#access === undefined) {
      const { server, stop } = await startOwnServer(this.#config.dataDir, logs);
      this.#cleanUp.push(stop);
      this.#addLogs = (names) => server.addLogs(names);
      this.#access = { url: server.url };
      say(`nats-server ${server.version} ${server.adopted ? "found running" : "started"} on ${server.url}`);
    } else await this.#addLogs(logs);
    return this.#access;
  }

  async tail(): Promise<OutputTail> {
    const nc = await connectNats(this.#access!, "tidemark dev");
    this.#cleanUp.push(() => nc.close());
    const jsm = await jetstreamManager(nc, { checkAPI: false });
    return new OutputTail(jsm, (line) => process.stdout.write(line), process.stdout.isTTY);
  }
}

function say(message: string): void {
  process.stderr.write(`tidemark: ${message}\n`);
}

function messageOf(error: unknown): string {
  if (isTidemarkError(error)) return messageWithPage(error);
  if (error instanceof BuildRefused) return error.message;
  if (error instanceof ChildEnded) return `the node ended: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Resolves at the first Ctrl-C or SIGTERM; the second ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (): void => {
      if (asked) process.exit(130);
      asked = true;
      resolve();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}
