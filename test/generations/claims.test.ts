/** Who may begin, drop and follow a generation when two do it at once, or when two names are one: the real bucket in a real NATS. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Job } from "../../actors/model/job.ts";
import { systemClock } from "../../runtime/clock.ts";
import { TidemarkError } from "../../runtime/errors.ts";
import { type BeginRequest, begin, claimName } from "../../runtime/generations/generation-begin.ts";
import { GenerationBucket } from "../../runtime/generations/generation-bucket.ts";
import { Generations, type GenerationsParts } from "../../runtime/generations/generations.ts";
import { ensureLogStreams } from "../../runtime/log/log-streams.ts";
import { SINGLE } from "../../runtime/log/replication.ts";
import { openSlotMap } from "../../runtime/log/slot-map.ts";
import { connectNats } from "../../runtime/nats-connect.ts";
import { Operations } from "../../runtime/node/operations.ts";
import { SkipList } from "../../runtime/shard/skips.ts";
import type { ShardManifest } from "../../runtime/snapshots/manifest.ts";
import { identityFor } from "../support/entries.ts";
import rides from "../support/feature-app.ts";
import { startTestNats } from "../support/nats.ts";

const LIMIT = { timeout: 60_000 };

async function start(t: TestContext) {
  const nats = await startTestNats(t, { logs: ["rides"] });
  const nc = await connectNats({ url: nats.url }, "test");
  t.after(() => nc.close());
  const bucket = await GenerationBucket.open(nc, SINGLE);
  const { map } = await openSlotMap(nc, "rides", 1);
  await ensureLogStreams(nc, "rides", map, { maxBytes: 1 << 26 });
  const jobs: readonly Job[] = ["a", "a-b"].map((name) => ({ ...rides, name }));
  for (const { name } of jobs) await SkipList.ensure(nc, name, SINGLE);
  const blobs = new Set<string>();
  let named = 0;
  const gate: { hold: Promise<void> | undefined } = { hold: undefined };
  const writer = {
    async deleteAll(job: string) {
      for (const blob of blobs) if (blob.startsWith(`${job}/`)) blobs.delete(blob);
    },
    async writeBase({ shard, snapshot }: { shard: { job: string }; snapshot: string }) {
      blobs.add(`${shard.job}/${snapshot}`);
      await gate.hold;
      return { job: shard.job, id: snapshot } as ShardManifest;
    },
    async nameBases() {},
    newName: () => `base-${named++}`,
  };
  const hosting = { async sync() {}, async start() {}, async stop() {} } as unknown as GenerationsParts["hosting"];
  const operations = new Operations(systemClock);
  const parts: GenerationsParts = {
    nc,
    clock: systemClock,
    node: "n1",
    replication: SINGLE,
    bucket,
    writer,
    hosting,
    operations,
    jobs,
    partitionsOf: () => 1,
    shards: async () => [],
    notice: () => {},
  };
  const [a, ab] = jobs as readonly [Job, Job];
  const of = (origin: Job, generation: string) => ({
    origin,
    identity: identityFor(origin),
    mapVersion: 1,
    generation,
    of: "s",
    who: "me",
  });
  const source = { kind: "snapshot", manifest: {} as ShardManifest } as const;
  const found: Pick<BeginRequest, "bases" | "of"> = { of: "s", bases: [{ source, cursor: 5, last: { sequence: 4, index: 0 } }] };
  const generations = new Generations(parts);
  const begun = (origin: Job, generation: string) => generations.begin(of(origin, generation), "bytes", async () => found);
  const status = async (id: string) => (await operations.ended(id))!.status;
  const ready = async (origin: Job, generation: string): Promise<void> =>
    assert.equal(await status((await begun(origin, generation)).id), "succeeded");
  const blobsOf = (job: string) => [...blobs].filter((blob) => blob.startsWith(`${job}/`));
  return { bucket, parts, generations, begun, ready, status, blobsOf, gate, a, ab, of, found };
}

/** The bucket, with some of its methods others. */
function faulty(bucket: GenerationBucket, methods: Partial<GenerationBucket>): GenerationBucket {
  return new Proxy(bucket, {
    get(target, name) {
      const method = methods[name as keyof GenerationBucket] ?? Reflect.get(target, name);
      return typeof method === "function" ? method.bind(target) : method;
    },
  });
}

test("a generation is found under its own job alone, though two names be one", LIMIT, async (t) => {
  const { generations, ready, bucket, ab } = await start(t);
  await ready(ab, "c");
  await assert.rejects(generations.drop("a", "b-c", "me"), { code: "GENERATION_MISSING" });
  await assert.rejects(generations.switchTo("a", "b-c", "me"), { code: "GENERATION_MISSING" });
  await assert.rejects(generations.switchTo("nosuch", "origin", "me"), { code: "GENERATION_MISSING" });
  assert.equal((await generations.switchTo("a-b", "c", "me")).to, "a-b-c");
  await assert.rejects(generations.drop("a-b", "c", "me"), { code: "GENERATION_ACTIVE" });
  assert.equal((await bucket.generation("a-b-c")).record?.status, "ready");
});

test("a beginning that was dropped on the way leaves the next one of its name alone", LIMIT, async (t) => {
  const { generations, begun, ready, status, blobsOf, bucket, gate, a } = await start(t);
  const held = Promise.withResolvers<void>();
  gate.hold = held.promise;
  const stale = await begun(a, "g");
  while (blobsOf("a-g").length === 0) await new Promise(setImmediate);
  assert.equal(await status((await generations.drop("a", "g", "me")).id), "succeeded");
  gate.hold = undefined;
  await ready(a, "g");
  const own = blobsOf("a-g");
  assert.equal(own.length, 1);
  held.resolve();
  assert.equal(await status(stale.id), "failed");
  assert.deepEqual(blobsOf("a-g"), own);
  assert.equal((await bucket.generation("a-g")).record?.status, "ready");
});

test("a beginning whose last acknowledgement is lost is ready, and one that fails is taken back", LIMIT, async (t) => {
  const { parts, bucket, blobsOf, a, of, found } = await start(t);
  for (const stored of [true, false]) {
    const request = of(a, stored ? "h" : "i");
    const claim = await claimName(parts, request, []);
    const lossy = faulty(bucket, {
      async writeGeneration(record, revision) {
        if (record.status !== "ready") return await bucket.writeGeneration(record, revision);
        if (stored) await bucket.writeGeneration(record, revision);
        throw new TidemarkError("PUBLISH_TIMEOUT", "the acknowledgement was lost");
      },
    });
    const signal = new AbortController().signal;
    const beginning = begin({ ...parts, bucket: lossy }, claim, { ...request, ...found }, () => {}, signal);
    if (stored) assert.equal((await beginning).status, "ready");
    else await assert.rejects(beginning, { code: "PUBLISH_TIMEOUT" });
    assert.equal((await bucket.generation(claim.job.name)).record?.status, stored ? "ready" : undefined);
    assert.equal(blobsOf(claim.job.name).length, stored ? 1 : 0);
  }
});

test("of a switch and a drop at once one is refused, whichever is the faster", LIMIT, async (t) => {
  const { parts, generations, ready, status, bucket, a } = await start(t);
  await ready(a, "e");
  const dropFirst = faulty(bucket, {
    async switchTo(job, next) {
      if (next.to === "a-e") assert.equal(await status((await generations.drop("a", "e", "me")).id), "succeeded");
      await bucket.switchTo(job, next);
    },
  });
  await assert.rejects(new Generations({ ...parts, bucket: dropFirst }).switchTo("a", "e", "me"), { code: "GENERATION_MISSING" });
  assert.equal(await bucket.activeOf("a"), "a");

  await ready(a, "f");
  const switchFirst = faulty(bucket, {
    async activeOf(job) {
      const active = await bucket.activeOf(job);
      await generations.switchTo("a", "f", "me");
      return active;
    },
  });
  await assert.rejects(new Generations({ ...parts, bucket: switchFirst }).drop("a", "f", "me"), { code: "LOG_CONFLICT" });
  assert.deepEqual([await bucket.activeOf("a"), (await bucket.generation("a-f")).record?.status], ["a-f", "ready"]);
});

test("a job whose name begins like another's is no generation of it, and one that is gone was", LIMIT, async (t) => {
  const { generations, ready, status, bucket, a, ab } = await start(t);
  await ready(a, "g");
  await ready(ab, "c");
  const lineage = async (name: string) => [await bucket.isOfLineage(name, "a"), await bucket.isOfLineage(name, "a-b")];
  assert.deepEqual(await lineage("a"), [true, false]);
  assert.deepEqual(await lineage("a-b"), [false, true]);
  assert.deepEqual(await lineage("a-g"), [true, false]);
  assert.deepEqual(await lineage("a-b-c"), [false, true]);
  await generations.switchTo("a", "g", "me");
  await generations.switchTo("a", "origin", "me");
  assert.equal(await status((await generations.drop("a", "g", "me")).id), "succeeded");
  assert.deepEqual(await lineage("a-g"), [true, false]);
});
