/**
 * NATS of two sites: real servers with domains of their own, of which the second has a leaf connection to the first, with the lines of
 * docs/disaster-recovery.md. Whoever comes over that connection may follow streams and nothing else.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { connectNats } from "../../runtime/nats-connect.ts";
import { operatorPermissions } from "../../runtime/node/account-roles.ts";
import { findNatsServer } from "../../runtime/node/nats-binary.ts";
import { slotMappings } from "../../runtime/node/nats-config.ts";
import { runPiped } from "../support/cli-run.ts";
import { blocksOf } from "../support/doc-page.ts";
import { freePort } from "../support/free-port.ts";
import { type Cleanup, startReaper } from "../support/nats.ts";

export class SiteNats {
  readonly domain: string;
  readonly url: string;
  readonly leafUrl: string;
  readonly #folder: string;
  #child: ChildProcess | undefined;

  private constructor(domain: string, folder: string, port: number, leafPort: number) {
    this.#folder = folder;
    this.domain = domain;
    this.url = `nats://runtime:secret@127.0.0.1:${port}`;
    this.leafUrl = `nats-leaf://mirror:follower@127.0.0.1:${leafPort}`;
  }

  /** `following`: the first site, to which it connects. */
  static async start(t: Cleanup, domain: string, logs: readonly string[], following?: SiteNats): Promise<SiteNats> {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), `tidemark-${domain}-`)));
    const [port, leafPort] = [await freePort(), await freePort()];
    const site = new SiteNats(domain, folder, port, leafPort);
    const endReaper = startReaper(folder);
    t.after(async () => {
      await site.kill();
      rmSync(folder, { recursive: true, force: true });
      endReaper();
    });
    const mappings = Object.entries(slotMappings(logs)).map(([from, to]) => `"${from}": "${to}"`);
    mkdirSync(join(folder, "jetstream"));
    writeFileSync(
      join(folder, "nats-server.conf"),
      `pid_file: "${folder}/nats-server.pid"
       log_file: "${folder}/nats-server.log"
       server_name: "${domain}-1"
       listen: "127.0.0.1:${port}"
       jetstream { store_dir: "${folder}/jetstream", domain: ${domain} }
       leafnodes {
         listen: "127.0.0.1:${leafPort}"
         remotes: [${following === undefined ? "" : `{ url: "${following.leafUrl}", account: TIDEMARK }`}]
       }
       accounts {
         TIDEMARK {
           jetstream: enabled
           mappings = { ${mappings.join(", ")} }
           users: [
             { user: runtime, password: secret }
             { user: operator, password: secret, permissions: ${JSON.stringify(operatorPermissions())} }
             ${followerUser(domain)}
           ]
         }
       }\n`,
    );
    await site.#serve();
    return site;
  }

  async #serve(): Promise<void> {
    const config = join(this.#folder, "nats-server.conf");
    this.#child = spawn(findNatsServer().binary, ["-c", config], { detached: true, stdio: "ignore" });
    await (await this.connected()).close();
  }

  /** The server starts again, and of a stream only its configuration is left. */
  async loseMessages(stream: string): Promise<void> {
    await this.kill();
    rmSync(join(this.#folder, "jetstream", "jetstream", "TIDEMARK", "streams", stream, "msgs"), { recursive: true });
    await this.#serve();
  }

  async connected(): Promise<NatsConnection> {
    return await connectNats({ url: this.url }, "test", { reconnectTimeWait: 50, waitOnFirstConnect: true });
  }

  /** SIGKILL. Resolves when the process is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  /** A command against this site, as its operator. */
  async run(...words: readonly string[]) {
    return await runPiped(words, { TIDEMARK_NATS_URL: this.url.replace("runtime", "operator") });
  }

  /** As {@link run}; gives the records that it wrote. Throws when it failed, but for what it must fail with. */
  async records<T>(words: readonly string[], code = 0): Promise<T[]> {
    const ended = await this.run(...words);
    if (ended.code !== code) throw new Error(`${words.join(" ")} ended with ${ended.code}: ${ended.stderr}`);
    return ended.stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as T]));
  }

  /** Polls until no mirror is behind; the test's timeout is the bound. Until the link stands nobody knows. */
  async untilFollowed(): Promise<void> {
    for (;;) {
      const { stdout } = await this.run("mirror", "status");
      const lines = stdout.split("\n").filter((line) => line !== "");
      const streams = lines.map((line) => JSON.parse(line) as { readonly status: string; readonly behind: number | null });
      if (streams.length > 0 && streams.every(({ status, behind }) => status === "detached" || behind === 0)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** The link to the first site comes some time behind the server. */
  async sync(site: string): Promise<void> {
    for (;;) {
      const { code, stderr } = await this.run("mirror", "sync", site);
      if (code === 0) return;
      if (!stderr.includes("NATS_UNREACHABLE")) throw new Error(stderr);
    }
  }
}

/** As the page says it. */
function followerUser(domain: string): string {
  const lines = blocksOf("docs/disaster-recovery.md").find(({ text }) => text.includes("user: mirror"))!.text;
  return lines.replaceAll("site-a", domain).replace("$TIDEMARK_MIRROR_PASSWORD", "follower");
}
