/** Who counts as a member, by the observer's own clock, and what becomes of the record of a node that is gone. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { Members } from "../../runtime/cluster/members.ts";
import { type NodeRecord, newsOfNode, readRecord } from "../../runtime/cluster/records.ts";
import { WatchedBucket } from "../../runtime/cluster/watched-bucket.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { startTestNats } from "../support/nats.ts";

const LEASE_MS = 2_000;

async function nodes(t: TestContext) {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  const open: WatchedBucket<NodeRecord>[] = [];
  t.after(async () => {
    const stopping = Promise.all(open.map((bucket) => bucket.stop()));
    await nc.close();
    await stopping;
  });
  return async (name: string, clock: ManualClock) => {
    const bucket = await WatchedBucket.open<NodeRecord>({
      nc,
      name: "tidemark-nodes",
      replication: { replicas: 1 },
      clock,
      read: readRecord,
      newsOf: newsOfNode,
      notice: () => {},
    });
    open.push(bucket);
    const onTaken = () => assert.fail("no other process has this id");
    return { bucket, members: new Members({ bucket, node: name, session: name, zone: "", clock, leaseMs: LEASE_MS, onTaken }) };
  };
}

test("what a node says last stands, though it says it while the one before is on its way", { timeout: 60_000 }, async (t) => {
  const { bucket, members } = await (await nodes(t))("n", new ManualClock());
  await members.say();
  const before = members.say();
  members.state = "draining";
  await Promise.all([before, members.say()]);
  const { payload } = await bucket.records.read("n");
  assert.equal((JSON.parse(Buffer.from(payload!).toString()) as NodeRecord).state, "draining");
});

test("a node that is silent is no member after three leases, and forgotten after an hour", { timeout: 60_000 }, async (t) => {
  const node = await nodes(t);
  const clock = new ManualClock();
  const gone = await node("gone", new ManualClock());
  await gone.members.say();
  const { bucket, members } = await node("stays", clock);
  await members.say();
  assert.deepEqual(
    members.others().map(({ node: name }) => name),
    ["gone"],
  );
  clock.pass(LEASE_MS * 3 + 1);
  assert.deepEqual(members.others(), []);
  await members.sayNowAndThen();
  assert.notEqual((await bucket.records.read("gone")).payload, undefined);

  clock.pass(60 * 60_000);
  // It speaks again before anybody has cleared it away.
  await gone.members.say();
  await members.sayNowAndThen();
  assert.notEqual((await bucket.records.read("gone")).payload, undefined);
  clock.pass(60 * 60_000 + 1);
  await members.sayNowAndThen();
  assert.equal((await bucket.records.read("gone")).payload, undefined);
  // One that was forgotten is a member again as soon as it says so.
  await gone.bucket.refresh("gone");
  await gone.members.say();
  await bucket.refresh("gone");
  assert.deepEqual(
    members.others().map(({ node: name }) => name),
    ["gone"],
  );
  await assert.rejects(bucket.write("gone", members.own, 1), (error) => isTidemarkError(error, "LOG_CONFLICT"));
});
