/** A real nats-server on a configuration of the test's own: accounts, logins, TLS. A free port, its files in a folder that goes with it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer } from "../../runtime/node/nats-binary.ts";
import type { Cleanup } from "./nats.ts";

export interface ConfiguredNats {
  /** `host:port`. */
  readonly host: string;
  readonly folder: string;
  /** Another configuration for the running server, which takes it over without a restart. */
  reload(text: string): Promise<void>;
}

/** `text`: without `listen`, or with a free port of its own there; in it `FOLDER` is the folder, where the streams of a server with JetStream belong. */
export async function startConfiguredNats(t: Cleanup, text: string, env: Readonly<Record<string, string>> = {}): Promise<ConfiguredNats> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-conf-"));
  const config = join(folder, "server.conf");
  const write = (port: string, words: string): void =>
    writeFileSync(config, `listen: "127.0.0.1:${port}"\n${words.replaceAll("FOLDER", folder)}\n`, { mode: 0o600 });
  write("-1", text);
  const server = spawn(findNatsServer().binary, ["-c", config], { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...env } });
  const exited = once(server, "exit");
  t.after(async () => {
    server.kill("SIGKILL");
    await exited;
    rmSync(folder, { recursive: true, force: true });
  });
  const said = listen(server);
  const [, host] = (await said(/client connections on (\S+)[\s\S]*Server is ready/))!;
  return {
    host: host!,
    folder,
    async reload(words) {
      write(host!.split(":")[1]!, words);
      const reloaded = said(/Reloaded server configuration/);
      server.kill("SIGHUP");
      await reloaded;
    },
  };
}

/** Waits for what the server says from here on; rejects when it ends before. */
function listen(server: ChildProcess): (wanted: RegExp) => Promise<RegExpExecArray> {
  let log = "";
  let look = (): void => {};
  server.stderr!.setEncoding("utf8").on("data", (text: string) => {
    log += text;
    look();
  });
  return (wanted) => {
    const from = log.length;
    return new Promise((resolve, reject) => {
      server.once("exit", () => reject(new Error(`nats-server ended:\n${log}`)));
      look = () => {
        const found = wanted.exec(log.slice(from));
        if (found !== null) resolve(found);
      };
    });
  };
}
