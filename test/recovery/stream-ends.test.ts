/** How much of each stream stays, when the streams were cut at different moments. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { writePumpLink } from "../../actors/fold/pump-entry.ts";
import { writeLink } from "../../actors/fold/reference-entry.ts";
import type { StoredOutput } from "../../actors/fold/stored-results.ts";
import { mirroredStreams } from "../../runtime/mirror/mirrored-streams.ts";
import { planEnds } from "../../runtime/mirror/stream-ends.ts";
import { ResultBlobs } from "../../runtime/results/result-blobs.ts";
import { type Cleanup, startTestNats } from "../support/nats.ts";
import { natsResults } from "../support/result-places.ts";
import { detachAll, fill, type Message } from "./detached.ts";

const logSubjects = (log: string) => [`${log}.0.>`, `${log}.p0.j.>`, `${log}.p0.r.>`];
const event = (log: string): Message => ({ subject: `${log}.0.e.k`, text: "{}" });
const epoch = (log: string, job: string): Message => ({ subject: `${log}.p0.j.${job}.epoch` });
const output = (job: string, position: string): Message => ({ subject: `${job}.out.0.k.t`, text: JSON.stringify({ position }) });
const pumped = (log: string, pump: string, next: number, offset?: { readonly job: string; readonly offset: number }): Message => ({
  subject: `${log}.p0.j._pump.${pump}.0`,
  headers: writePumpLink({
    of: 1,
    next: { sequence: next, index: 0 },
    ...(offset === undefined ? {} : { stretch: { turn: 1, behind: 0, ...offset } }),
  }),
});
const copy = (log: string, source: number): Message => ({ subject: `${log}.p0.r.t`, headers: writeLink({ source, previous: source - 1 }) });

async function withNats(t: Cleanup): Promise<NatsConnection> {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  return nc;
}

/** Of streams that are detached. */
async function endsOf(nc: NatsConnection, streams: readonly string[], pumps: Readonly<Record<string, string>> = {}) {
  const results = natsResults(nc);
  const resultIsHere = async (stream: string, stored: StoredOutput): Promise<boolean> => {
    const blobs = new ResultBlobs(stream, results, Date.now);
    return await blobs.get(stored).then(
      () => true,
      () => false,
    );
  };
  const { ends, unknownPumps } = await planEnds({
    nc,
    streams: await mirroredStreams(nc),
    pumps: new Map(Object.entries(pumps)),
    resultIsHere,
  });
  return { ends: Object.fromEntries(streams.map((stream) => [stream, ends.get(stream)])), unknownPumps };
}

suite("of the streams at the second site", () => {
  test("what is behind its log stays, what is ahead of it goes, and so on through all that was made of it", async (t) => {
    const nc = await withNats(t);
    await fill(nc, "src-0", logSubjects("src"), [epoch("src", "sums"), event("src"), event("src")]);
    await fill(nc, "sums-out-0", ["sums.out.0.>"], [output("sums", "0:2.0"), output("sums", "0:3.0"), output("sums", "0:4.0")]);
    const fed = [epoch("fed", "late"), pumped("fed", "sums-out", 2), event("fed"), pumped("fed", "sums-out", 3), event("fed")];
    await fill(nc, "fed-0", logSubjects("fed"), [...fed, pumped("fed", "sums-out", 4), event("fed")]);
    await fill(nc, "late-out-0", ["late.out.0.>"], [output("late", "0:3.0"), output("late", "0:5.0"), output("late", "0:7.0")]);
    await fill(nc, "idle-0", logSubjects("idle"), [epoch("idle", "rest"), event("idle"), event("idle")]);
    await fill(nc, "rest-out-0", ["rest.out.0.>"], [output("rest", "0:2.0")]);
    const all = ["src-0", "sums-out-0", "fed-0", "late-out-0", "idle-0", "rest-out-0"];
    await detachAll(nc, all);
    const { ends, unknownPumps } = await endsOf(nc, all);
    assert.deepEqual(ends, { "src-0": 3, "sums-out-0": 2, "fed-0": 5, "late-out-0": 2, "idle-0": 3, "rest-out-0": 1 });
    assert.deepEqual(unknownPumps, []);
  });

  test("a log ends before a copy of a record that did not come, and before an entry whose large result did not", async (t) => {
    const nc = await withNats(t);
    const record = { subject: "one-reference.t.a", text: "{}" };
    await fill(nc, "one-reference", ["one-reference.*.*"], [record, record]);
    await fill(nc, "one-0", logSubjects("one"), [copy("one", 1), copy("one", 2), event("one"), copy("one", 3), event("one")]);
    const here = await new ResultBlobs("two-0", natsResults(nc), Date.now).put(JSON.stringify("x".repeat(100)));
    const entry = (stored: StoredOutput): Message => ({
      subject: "two.p0.j.sums.stored",
      text: JSON.stringify({ kind: "result", results: [{ call: "c", stored }] }),
    });
    await fill(nc, "two-0", logSubjects("two"), [entry(here), event("two"), entry({ ...here, at: here.at + 1 }), event("two")]);
    const all = ["one-reference", "one-0", "two-0"];
    await detachAll(nc, all);
    assert.deepEqual((await endsOf(nc, all)).ends, { "one-reference": 2, "one-0": 3, "two-0": 2 });
  });

  test("a pump with a name of its own is looked at when its source is named, and a generation's outputs by their own numbers", async (t) => {
    const nc = await withNats(t);
    await fill(nc, "src-0", logSubjects("src"), [event("src"), event("src")]);
    await fill(nc, "sums-b-out-0", ["sums-b.out.0.>"], [output("sums-b", "0:1.0"), output("sums-b", "0:2.0")]);
    const stretch = { job: "sums-b", offset: 10 };
    await fill(nc, "fed-0", logSubjects("fed"), [pumped("fed", "other", 2), pumped("fed", "other", 3), pumped("fed", "other", 4)]);
    await fill(nc, "gen-0", logSubjects("gen"), [pumped("gen", "sums-out", 13, stretch), pumped("gen", "sums-out", 14, stretch)]);
    const all = ["src-0", "sums-b-out-0", "fed-0", "gen-0"];
    await detachAll(nc, all);
    const first = await endsOf(nc, all);
    assert.deepEqual([first.unknownPumps, first.ends["fed-0"]], [["other"], 3]);
    const second = await endsOf(nc, all, { other: "src" });
    assert.deepEqual(second, { ends: { "src-0": 2, "sums-b-out-0": 2, "fed-0": 2, "gen-0": 1 }, unknownPumps: [] });
  });
});
