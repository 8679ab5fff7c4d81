/** What a promotion asks of a first site that still answers. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { NatsConnection } from "@nats-io/transport-node";
import type { StreamInfo } from "../../runtime/log/jetstream-api.ts";
import { appendAcknowledged } from "../../runtime/log/publish-ack.ts";
import { mirrorStatus } from "../../runtime/mirror/mirror-status.ts";
import { syncMirrors } from "../../runtime/mirror/mirror-sync.ts";
import { detachedConfig, mirroredStreams, updateStream } from "../../runtime/mirror/mirrored-streams.ts";
import { type Promotion, type PromotionOptions, promoteMirrors } from "../../runtime/mirror/promotion.ts";
import type { Cleanup } from "../support/nats.ts";
import { deleteStream } from "../support/stream-backup.ts";
import { answeredOtherwise, fill } from "./detached.ts";
import { SiteNats } from "./sites.ts";

const PROMOTION: PromotionOptions = {
  dryRun: false,
  now: false,
  pumps: new Map(),
  snapshots: { snapshots: { kind: "nats" }, s3Endpoint: undefined, keysFile: undefined, maxBytes: 1 << 20, replicas: 1 },
  removed: () => {},
};
const SKIP = "sums.skips.0";

async function twoSites(t: Cleanup) {
  const first = await SiteNats.start(t, "site-a", ["meter"]);
  const second = await SiteNats.start(t, "site-b", ["meter"], first);
  const [a, b] = [await first.connected(), await second.connected()];
  t.after(async () => {
    await a.close();
    await b.close();
  });
  await fill(a, "sums-skips", ["sums.skips.*"], [{ subject: SKIP }]);
  return { a, b, second };
}

test("no command takes a stream without a leader for one that is not there", async (t) => {
  const { b, second } = await twoSites(t);
  await second.sync("site-a");
  await second.untilFollowed();
  for (const api of ["$JS.API", "$JS.site-a.API"]) {
    const leaderless = answeredOtherwise(b, (subject, _body, answer) =>
      subject === `${api}.STREAM.LIST` ? { ...(answer as object), missing: ["meter-0"] } : answer,
    );
    const refusal = /NATS_UNREACHABLE: .*no leader that answers: meter-0/;
    await assert.rejects(mirrorStatus(leaderless), refusal);
    await assert.rejects(syncMirrors(leaderless, "site-a", { replicas: 1 }), refusal);
    await assert.rejects(promoteMirrors(leaderless, PROMOTION), refusal);
  }
  assert.equal((await mirroredStreams(b))[0]!.status, "mirroring");
});

test("outputs go whose log stopped before the first entry of their job", async (t) => {
  const { a, b, second } = await twoSites(t);
  const subjects = ["src.0.>", "src.p0.j.>"];
  await fill(a, "src-0", subjects, [{ subject: "src.0.e.k" }, { subject: "src.p0.j.sums.epoch" }]);
  await fill(a, "sums-out-0", ["sums.out.0.>"], [{ subject: "sums.out.0.k.t", text: JSON.stringify({ position: "0:2.0" }) }]);
  await second.sync("site-a");
  await second.untilFollowed();
  // As if the link of the log had been cut behind its first entry.
  const log = (await mirroredStreams(b)).find(({ stream }) => stream === "src-0")!;
  await deleteStream(b, "src-0");
  await fill(b, "src-0", subjects, [{ subject: "src.0.e.k" }]);
  await updateStream(b, detachedConfig(log), "src-0");
  const [promotion] = await second.records<Promotion>(["mirror", "promote", "--dry-run", "--now"]);
  assert.equal(promotion!.streams.find(({ stream }) => stream === "sums-out-0")!.last, 0);
});

suite("a promotion while the first site answers", () => {
  test("is refused when that has gone on since the mirrors were detached", async (t) => {
    const { a, b, second } = await twoSites(t);
    await second.sync("site-a");
    await second.untilFollowed();
    const [mirror] = await mirroredStreams(b);
    await updateStream(b, detachedConfig(mirror!), "sums-skips");
    await appendAcknowledged(a, SKIP, Buffer.from("{}"), { stream: "sums-skips" });
    assert.match((await second.run("mirror", "promote")).stderr, /MIRROR_BEHIND: The site site-a answers, .* sums-skips \(1\)/);
    assert.equal((await second.run("mirror", "promote", "--now")).code, 0);
  });

  test("is refused while nodes run there", async (t) => {
    const { a, second } = await twoSites(t);
    const renew = () => appendAcknowledged(a, "$KV.tidemark-nodes.n1", Buffer.from("{}"), { stream: "KV_tidemark-nodes" });
    await fill(a, "KV_tidemark-nodes", ["$KV.tidemark-nodes.>"], [{ subject: "$KV.tidemark-nodes.n1" }]);
    await second.sync("site-a");
    await second.untilFollowed();
    const renewing = setInterval(() => void renew(), 200);
    try {
      assert.match((await second.run("mirror", "promote")).stderr, /MIRROR_BEHIND: The site site-a answers, and nodes run there/);
    } finally {
      clearInterval(renewing);
    }
    assert.equal((await second.run("mirror", "promote", "--now")).code, 0);
  });

  test("takes the word of a bucket's mirror that has just heard of its origin, and else the numbers", async (t) => {
    const { a, b, second } = await twoSites(t);
    await fill(a, "KV_tidemark-logs", ["$KV.tidemark-logs.>"], [{ subject: "$KV.tidemark-logs.a" }, { subject: "$KV.tidemark-logs.b" }]);
    await second.sync("site-a");
    await second.untilFollowed();
    assert.deepEqual([await behindWhenHeard(b, 1), await behindWhenHeard(b, 31), await behindWhenHeard(b, -1)], [0, 1, 1]);
  });
});

/** Of a mirror that lacks its origin's last message and says that it is not behind; it heard of it so many seconds ago. */
async function behindWhenHeard(nc: NatsConnection, seconds: number) {
  const told = answeredOtherwise(nc, (subject, _body, answer) => {
    if (subject !== "$JS.API.STREAM.LIST") return answer;
    const page = answer as { readonly streams: readonly StreamInfo[] };
    const streams = page.streams.map((info) => {
      const state = { ...info.state, last_seq: info.state.last_seq - 1 };
      return { ...info, state, mirror: { lag: 0, active: seconds < 0 ? -1 : seconds * 1e9 } };
    });
    return { ...page, streams };
  });
  const { streams } = await mirrorStatus(told);
  return streams.find(({ stream }) => stream === "KV_tidemark-logs")!.behind;
}
