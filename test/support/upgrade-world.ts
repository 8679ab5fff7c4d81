/** Builds of one job in folders of their own, real nodes in production that run them one after the other, and what they publish. */
import assert from "node:assert/strict";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeEpoch } from "../../actors/fold/journal.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import { epochSubject } from "../../actors/fold/subject.ts";
import { identityOf, loadApp } from "../../runtime/app.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { type Ended, runCli } from "./cli-run.ts";
import { countedOf, DEV_PARTITIONS, DevWorld } from "./dev-process.ts";
import type { ReadOutput } from "./entries.ts";
import type { Cleanup } from "./nats.ts";
import { NodeProcess, shardsOf, untilShards } from "./node-process.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface BuildText {
  readonly version: number;
  /** Makes a build of the same version another one. */
  readonly comment?: string;
  /** Declarations of the state, and the statement that counts in it and gives the count. */
  readonly state: string;
  readonly count: string;
  readonly migrate?: string;
}

export const V1: BuildText = {
  version: 1,
  state: "count: value(Type.Integer(), 0)",
  count: "(ctx.state.count.update((count) => count + 1), ctx.state.count.get())",
};
/** Counts in a cell of another name and kind. */
export const V2: BuildText = {
  version: 2,
  state: "hits: counter()",
  count: "(ctx.state.hits.add(), ctx.state.hits.get())",
  migrate: "2: (old) => ({ hits: old.count })",
};
/** What version 2 cannot bring over: every actor. */
export const V2_BROKEN: BuildText = { ...V2, migrate: '2: () => { throw new Error("no way") }' };
export const V3: BuildText = { ...V2, version: 3, migrate: `${V2.migrate}, 3: (old) => old` };
/** Version 2 without what it cannot go back from: version 1 reads what it leaves. */
export const V2_ALIKE: BuildText = { ...V1, version: 2 };

export class UpgradeWorld {
  readonly #world: DevWorld;
  readonly #t: Cleanup;
  readonly #data: string;
  readonly #identities = new Map<string, Promise<CodeIdentity>>();

  private constructor(world: DevWorld, t: Cleanup) {
    this.#world = world;
    this.#t = t;
    this.#data = world.dataDir;
  }

  static async start(t: Cleanup): Promise<UpgradeWorld> {
    return new UpgradeWorld(await DevWorld.start(t), t);
  }

  get dataDir(): string {
    return this.#data;
  }

  get natsUrl(): string {
    return this.#world.nats.url;
  }

  get nc() {
    return this.#world.nc;
  }

  folder(): string {
    return this.#world.folder();
  }

  /** Path of its app. Two modules, so that a build is more than its entry. */
  build({ version, comment = "", state, count, migrate = "" }: BuildText): string {
    const folder = this.folder();
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "version.ts"), `export const VERSION = ${version};\n`);
    const path = join(folder, "app.ts");
    writeFileSync(
      path,
      `// ${comment}
import { actor, counter, job, output, stream, value } from ${JSON.stringify(join(ROOT, "index.ts"))};
import { Type } from "typebox";
import { VERSION } from "./version.ts";
void counter; void value;
const Counted = Type.Object({ n: Type.Integer(), count: Type.Integer(), edit: Type.Integer() });
const counting = actor("counter", {
  version: VERSION,
  in: { hit: stream("hit", { schema: Type.Object({ n: Type.Integer() }) }) },
  out: { counted: output("counted", { schema: Counted }) },
  state: { ${state} },
  on: { hit(ctx, { n }) { const count = ${count}; ctx.out.counted({ n, count, edit: VERSION }); } },
  migrate: { ${migrate} },
});
export default job("counts", { log: "hits", actors: [counting], outOfOrderness: 0, idle: "hold" });
`,
    );
    return path;
  }

  env(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return {
      TIDEMARK_NATS_URL: this.natsUrl,
      TIDEMARK_DATA_DIR: this.#data,
      TIDEMARK_PARTITIONS: String(DEV_PARTITIONS),
      TIDEMARK_WORKERS: "1",
      TIDEMARK_PROFILE: "production",
      TIDEMARK_ALLOW_SINGLE_REPLICA: "on",
      TIDEMARK_HTTP_PORT: "0",
      ...more,
    };
  }

  node(app: string, env: Readonly<Record<string, string>> = {}): NodeProcess {
    const node = new NodeProcess({ app, natsUrl: this.natsUrl, dataDir: this.#data, env: this.env(env) });
    this.#t.after(() => node.kill());
    return node;
  }

  /** A node whose shards all run. */
  async running(app: string): Promise<NodeProcess> {
    const node = this.node(app);
    await untilShards(await node.ready, (shards) => shards.every(({ status }) => status === "running"));
    return node;
  }

  /** Why each shard does not run, when none does. */
  async refusals(node: NodeProcess): Promise<readonly string[]> {
    for (;;) {
      const shards = await shardsOf(await node.ready);
      if (shards.every(({ error }) => error !== undefined)) return shards.map(({ error }) => `${error!.code}: ${error!.detail}`);
      await new Promise((resolve) => {
        setTimeout(resolve, 25);
      });
    }
  }

  /** A command of the CLI, with the settings of the node. */
  async cli(node: NodeProcess | undefined, args: readonly string[]): Promise<Ended> {
    const url = node === undefined ? [] : ["--url", await node.ready];
    return await runCli([...args, ...url], this.env());
  }

  /** Succeeds, or says why not. */
  async upgrade(node: NodeProcess, app: string, ...options: readonly string[]): Promise<Ended> {
    const ended = await this.cli(node, ["upgrade", app, ...options]);
    assert.equal(ended.code, 0, `${ended.stderr}${ended.stdout}${node.log}`);
    return ended;
  }

  /** Asks as `tidemark upgrade` does; resolves with the status when the node has answered. */
  async askToHandOver(url: string, app: string): Promise<number> {
    const body = JSON.stringify({ jobs: [{ job: "counts", log: "hits", identity: await this.#identity(app) }] });
    return (await fetch(`${url}/v1/hand-overs`, { method: "POST", headers: { "content-type": "application/json" }, body })).status;
  }

  get hits(): number {
    return this.#world.hits;
  }

  hit(times: number): Promise<void> {
    return this.#world.hit(times);
  }

  async untilOutputs(count: number, job?: string): Promise<ReadOutput[][]> {
    return await this.#world.untilOutputs(count, undefined, job);
  }

  async outputs(job?: string): Promise<ReadOutput[][]> {
    return await this.#world.outputs(job);
  }

  /** Every hit so far was counted once, in its key's order; gives the versions that counted, by partition, without repetitions. */
  assertCounted(each: readonly ReadOutput[][], job = "counts"): number[][] {
    const seen: number[] = [];
    const counts = new Map<string, number>();
    const versions = each.map((outputs, partition) => {
      const edits: number[] = [];
      for (const [i, output] of outputs.entries()) {
        const { n, count, edit } = countedOf(output);
        assert.equal(output.type, "counted", JSON.stringify(output));
        assert.equal(output.id, `${job}.${partition}.${i + 1}`);
        const expected = (counts.get(output.subject!) ?? 0) + 1;
        counts.set(output.subject!, expected);
        assert.equal(count, expected, `count of ${output.subject}`);
        seen.push(n);
        if (edits.at(-1) !== edit) edits.push(edit);
      }
      return edits;
    });
    assert.deepEqual(
      seen.sort((a, b) => a - b),
      Array.from({ length: this.#world.hits }, (_, n) => n),
    );
    return versions;
  }

  /** Versions of the job's epochs by partition, oldest first. */
  async epochs(job = "counts"): Promise<number[][]> {
    const each: number[][] = [];
    for (let partition = 0; partition < DEV_PARTITIONS; partition++) {
      const log = new NatsPartitionLog(this.nc, "hits", partition);
      const subject = epochSubject("hits", partition, job);
      const versions: number[] = [];
      for (let from = 1; ; ) {
        const found = await log.firstOn(subject, from);
        if (found === undefined) break;
        versions.push((JSON.parse(Buffer.from(found.payload).toString()) as { version: number }).version);
        from = found.sequence + 1;
      }
      each.push(versions);
    }
    return each;
  }

  /** Appends, as the running build would, the entry that hands one partition over to `app`. */
  async appendEpoch(app: string, partition: number): Promise<void> {
    const log = new NatsPartitionLog(this.nc, "hits", partition);
    const subject = epochSubject("hits", partition, "counts");
    const last = (await log.lastOn(subject))!.sequence;
    await log.append(subject, Buffer.from(writeEpoch(await this.#identity(app), last, undefined)));
  }

  /** A thread can tell what an app is made of only when it loads it for the first time. */
  async #identity(app: string): Promise<CodeIdentity> {
    let known = this.#identities.get(app);
    if (known === undefined) {
      known = loadApp(app).then(({ jobs, codeHash }) => identityOf(jobs[0]!, codeHash));
      this.#identities.set(app, known);
    }
    return await known;
  }
}
