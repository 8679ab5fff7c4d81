/** `tidemark dev` in a process of its own, what it says and prints, and the log and the outputs around it. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type EventPayload, type LogPublisher, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { storedOutputs } from "../../runtime/replay/stored-history.ts";
import { type Counted, DevApp } from "./dev-app.ts";
import { cloudEvent, type ReadOutput, readOutputs, T0 } from "./entries.ts";
import { type Cleanup, startTestNats, type TestNats } from "./nats.ts";

const CLI = new URL("../../api/cli/tidemark.ts", import.meta.url).pathname;
export const DEV_PARTITIONS = 2;
const KEYS = ["a", "b", "c", "d", "e"];

export class DevProcess {
  readonly child: ChildProcess;
  /** What it said on stderr, and printed on stdout. */
  log = "";
  printed = "";
  /** Resolves when it has ended and every process that it started. */
  readonly exited: Promise<number | null>;
  #wake: () => void = () => {};

  constructor(args: readonly string[], env: Readonly<Record<string, string>>, cwd?: string) {
    this.child = spawn(process.execPath, [CLI, "dev", ...args], {
      cwd,
      env: { ...process.env, TIDEMARK_HTTP_PORT: "0", TIDEMARK_PARTITIONS: String(DEV_PARTITIONS), TIDEMARK_WORKERS: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.log += text;
      this.#wake();
    });
    this.child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.printed += text;
      this.#wake();
    });
    this.exited = once(this.child, "close").then(([code]) => code as number | null);
    void this.exited.then(() => this.#wake());
  }

  /** Resolves with the match once the log holds `pattern` behind the offset `from`; the caller's test timeout is the bound. */
  async says(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.log.slice(from));
      if (match !== null) return match;
      assert(this.child.exitCode === null && this.child.signalCode === null, `dev ended and did not say ${pattern}:\n${this.log}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Resolves once it has printed so many outputs. */
  async prints(count: number): Promise<void> {
    while (this.printedIds.length < count) {
      assert(this.child.exitCode === null && this.child.signalCode === null, `dev ended:\n${this.log}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Process id of the node, once it is ready (again, behind `from`). */
  async nodePid(from = 0): Promise<number> {
    return Number((await this.says(/ready on \S+, process (\d+)/, from))[1]);
  }

  /** Process id of the node that was ready last. */
  get lastNodePid(): number {
    return Number([...this.log.matchAll(/ready on \S+, process (\d+)/g)].at(-1)![1]);
  }

  /** Ids of the outputs that it printed. */
  get printedIds(): string[] {
    return this.printed
      .split("\n")
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { readonly id: string }).id);
  }

  async stop(): Promise<number | null> {
    this.child.kill("SIGTERM");
    return await this.exited;
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exited;
  }
}

/** A server, an app that is not written yet, a data directory, and the means to hit and to look. */
export class DevWorld {
  readonly app: DevApp;
  readonly nats: TestNats;
  readonly nc: NatsConnection;
  readonly dataDir: string;
  readonly #devs: DevProcess[] = [];
  readonly #folders: string[] = [];
  readonly #publishers = new Map<string, LogPublisher>();
  #hits = 0;

  private constructor(nats: TestNats, nc: NatsConnection) {
    this.nats = nats;
    this.nc = nc;
    this.dataDir = this.folder();
    this.app = new DevApp(this.folder());
  }

  static async start(t: Cleanup): Promise<DevWorld> {
    const nats = await startTestNats(t, { logs: ["hits", "others"] });
    const nc = await connect({ servers: nats.url });
    const world = new DevWorld(nats, nc);
    t.after(() => world.#end());
    return world;
  }

  folder(): string {
    const path = realpathSync(mkdtempSync(join(tmpdir(), "tidemark-dev-")));
    this.#folders.push(path);
    return path;
  }

  /** `tidemark dev` of this world's app, in this world's data directory, unless said otherwise. */
  dev(env: Readonly<Record<string, string>> = {}, args: readonly string[] = [this.app.path], cwd?: string): DevProcess {
    const dev = new DevProcess(args, { TIDEMARK_NATS_URL: this.nats.url, TIDEMARK_DATA_DIR: this.dataDir, ...env }, cwd);
    this.#devs.push(dev);
    return dev;
  }

  async #end(): Promise<void> {
    await Promise.all(this.#devs.map((dev) => dev.kill()));
    await this.nc.close();
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
  }

  get hits(): number {
    return this.#hits;
  }

  /** Publishes so many more hits, one after the other per key. */
  async hit(times: number, log = "hits"): Promise<void> {
    const publisher = this.#publishers.get(log) ?? openLogPublisher(this.nc, log, (await readSlotMap(this.nc, log))!);
    this.#publishers.set(log, publisher);
    for (let i = 0; i < times; i++) {
      const n = this.#hits++;
      const key = KEYS[n % KEYS.length]!;
      await publisher.publish(key, cloudEvent({ id: `hit-${n}`, key, type: "hit", time: T0 + n, data: { n } }) as EventPayload);
    }
  }

  /** Outputs of the job by partition, as published. */
  async outputs(job = "counts"): Promise<ReadOutput[][]> {
    const each: ReadOutput[][] = [];
    for (let partition = 0; partition < DEV_PARTITIONS; partition++) {
      each.push(readOutputs(await storedOutputs(this.nc, job, partition).catch(() => [])));
    }
    return each;
  }

  /** Polls until the job has published so many outputs, and `done` of them holds. */
  async untilOutputs(count: number, done: (each: readonly ReadOutput[][]) => boolean = () => true, job?: string): Promise<ReadOutput[][]> {
    for (;;) {
      const each = await this.outputs(job);
      if (each.flat().length >= count && done(each)) return each;
      await new Promise((resolve) => {
        setTimeout(resolve, 25);
      });
    }
  }
}

export function countedOf(output: ReadOutput): Counted {
  return output.data as unknown as Counted;
}

/**
 * Every hit was counted exactly once, by the key in the order of its hits; numbers have no gap; and in each partition the edits
 * follow one another: none comes back.
 */
export function assertExactlyOnce(each: readonly ReadOutput[][], hits: number, job = "counts"): void {
  const seen: number[] = [];
  const counts = new Map<string, number>();
  for (const [partition, outputs] of each.entries()) {
    let edit = 0;
    for (const [i, output] of outputs.entries()) {
      const counted = countedOf(output);
      assert.equal(output.type, "counted", JSON.stringify(output));
      assert.equal(output.id, `${job}.${partition}.${i + 1}`);
      assert(counted.edit >= edit, `edit ${counted.edit} behind edit ${edit} in partition ${partition}`);
      edit = counted.edit;
      const count = (counts.get(output.subject!) ?? 0) + 1;
      counts.set(output.subject!, count);
      assert.equal(counted.count, count, `count of ${output.subject}`);
      seen.push(counted.n);
    }
  }
  assert.deepEqual(
    seen.sort((a, b) => a - b),
    Array.from({ length: hits }, (_, n) => n),
  );
}
