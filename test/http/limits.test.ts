/** What one caller, or all of them, can ask of a node: rate, requests at work, long ones, and the share of reads. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { openOnLoopback } from "../../api/http/access.ts";
import { Admission } from "../../api/http/admission.ts";
import { API_LIMITS, type ApiLimits, DELAYED_MAX } from "../../api/http/limits.ts";
import { HttpProblem } from "../../api/http/problem.ts";
import { ReadShare } from "../../api/http/read-share.ts";
import type { Route } from "../../api/http/route.ts";
import { buildServer } from "../../api/http/server.ts";
import { TokenBuckets } from "../../api/http/token-bucket.ts";
import type { ThreadLoad } from "../../runtime/node/thread-load.ts";
import { ManualClock } from "../support/manual-clock.ts";

const read: Route = {
  method: "GET",
  path: "/x",
  role: "viewer",
  summary: "A read",
  answers: { 200: Type.Unknown() },
  handle: async () => ({ status: 200, body: {} }),
};
const write: Route = { ...read, method: "POST" };
const live: Route = { ...read, long: true };
const health: Route = { ...read, role: "public" };
const metrics: Route = { ...read, essential: true };

function admission(limits: Partial<ApiLimits> = {}, load?: () => ThreadLoad) {
  const clock = new ManualClock();
  return { clock, admission: new Admission({ ...API_LIMITS, ...limits }, clock, load) };
}

function refused(code: string, seconds?: number) {
  return (error: unknown): boolean => {
    assert(error instanceof HttpProblem);
    assert.deepEqual([error.status, error.code], [429, code]);
    const wait = Number(error.headers["retry-after"]);
    assert(seconds === undefined ? wait >= 1 : wait === seconds, error.headers["retry-after"]);
    return true;
  };
}

suite("the rate of a caller", () => {
  test("is twice as much at once, then its rate, and is nobody else's matter", async () => {
    const { clock, admission: door } = admission({ requestsPerSecond: 10, requestsMax: 10_000 });
    for (let i = 0; i < 20; i++) await door.enter("a", read);
    await assert.rejects(door.enter("a", read), refused("RATE_LIMITED", 1));
    await door.enter("b", read);
    clock.pass(1_000);
    for (let i = 0; i < 10; i++) await door.enter("a", read);
    await assert.rejects(door.enter("a", read), refused("RATE_LIMITED", 1));
  });

  test("holds for public routes and for what is not there", async () => {
    const { admission: door } = admission({ requestsPerSecond: 1 });
    await door.enter("a", health);
    await door.enter("a", undefined);
    await assert.rejects(door.enter("a", health), refused("RATE_LIMITED"));
  });

  test("says how long to wait when it is slow", () => {
    const buckets = new TokenBuckets(0.1, 1, new ManualClock());
    assert.deepEqual([buckets.take("a"), buckets.take("a")], [0, 10]);
  });

  test("is kept of so many callers; the one not seen for longest begins anew", () => {
    const buckets = new TokenBuckets(1, 1, new ManualClock());
    assert.equal(buckets.take("first"), 0);
    for (let i = 0; i < 9_999; i++) buckets.take(`caller ${i}`);
    assert.equal(buckets.take("first"), 1, "still known");
    for (let i = 0; i < 10_000; i++) buckets.take(`other ${i}`);
    assert.equal(buckets.take("first"), 0, "forgotten");
  });
});

suite("requests at work", () => {
  test("are bounded, long ones apart, and public routes not at all", async () => {
    const { admission: door } = admission({ requestsMax: 2, longRequestsMax: 1 });
    const leave = await door.enter("a", read);
    await door.enter("b", write);
    await assert.rejects(door.enter("c", read), refused("OVERLOADED"));
    const leaveLong = await door.enter("a", live);
    await assert.rejects(door.enter("b", live), refused("OVERLOADED"));
    for (let i = 0; i < 100; i++) await door.enter("probe", health);
    leave();
    leaveLong();
    await door.enter("c", read);
    await door.enter("b", live);
  });

  test("a place comes back when the answer is sent, also for what failed", async () => {
    const failing: Route = {
      ...read,
      path: "/fails",
      handle: async () => {
        throw new HttpProblem(409, "NOT_NOW", "Later.");
      },
    };
    const app = buildServer([read, failing, write], { access: openOnLoopback, clock: new ManualClock(), limits: { requestsMax: 1 } });
    for (const url of ["/x", "/fails", "/x?unknown=1", "/nowhere", "/x"]) {
      assert.notEqual((await app.inject(url)).statusCode, 429, url);
    }
    assert.equal((await app.inject({ method: "POST", url: "/x", payload: "x" })).statusCode, 400);
    assert.equal((await app.inject("/x")).statusCode, 200);
  });
});

suite("a refusal for want of room", () => {
  test("is answered later, so that who asks again at once asks less often", async () => {
    const clock = new ManualClock();
    const app = buildServer([read], { access: openOnLoopback, clock, limits: { requestsPerSecond: 1, refusalDelayMs: 100 } });
    await app.inject("/x");
    await app.inject("/x");
    let answered = 0;
    const third = app.inject("/x").then((answer) => {
      answered = answer.statusCode;
      return answer;
    });
    while (clock.sleeping === 0) await new Promise(setImmediate);
    assert.equal(answered, 0);
    clock.pass(100);
    const { statusCode, headers } = await third;
    assert.deepEqual([statusCode, headers["retry-after"]], [429, "1"]);
  });

  test("is answered at once, and the connection closed, when too many wait", async () => {
    const { clock, admission: door } = admission();
    const waiting = Array.from({ length: DELAYED_MAX }, () => door.delay());
    assert.equal(await door.delay(), false);
    clock.pass(API_LIMITS.refusalDelayMs);
    assert((await Promise.all(waiting)).every(Boolean));
    const next = door.delay();
    clock.pass(API_LIMITS.refusalDelayMs);
    assert.equal(await next, true);
  });
});

/** So many reads a second offered for some seconds, each costing so much of a core; gives how many were let in in the last second. */
function offer(options: { readonly perSecond: number; readonly costMs: number; readonly shards: number; readonly cores: number }): number {
  const { perSecond, costMs, shards, cores } = options;
  const clock = new ManualClock();
  let busyMs = 0;
  let since = 0;
  const share = new ReadShare(() => {
    const passed = Math.max(1, clock.monotonic() - since);
    const api = Math.min(2, busyMs / passed);
    busyMs = 0;
    since = clock.monotonic();
    return { api, shards, cores };
  }, clock);
  let answered = 0;
  for (let ms = 0; ms < 20_000; ms++) {
    clock.pass(1);
    for (let i = 0; i < perSecond / 1_000; i++) {
      if (share.take() === undefined) continue;
      busyMs += costMs;
      if (ms >= 19_000) answered++;
    }
  }
  return answered;
}

suite("the share of reads", () => {
  test("is all of them while the shards rest", () => {
    assert.equal(offer({ perSecond: 1_000, costMs: 1, shards: 0, cores: 2 }), 1_000);
  });

  test("is a fifth of a core while the shards need the machine", () => {
    const answered = offer({ perSecond: 10_000, costMs: 1, shards: 2, cores: 2 });
    assert(answered > 100 && answered < 300, String(answered));
  });

  test("is the same time for costly reads, so fewer of them, down to a few that are always answered", () => {
    const answered = offer({ perSecond: 10_000, costMs: 5, shards: 2, cores: 2 });
    assert(answered >= 20 && answered < 60, String(answered));
  });

  test("is what shards and broker leave of a large machine", () => {
    assert.equal(offer({ perSecond: 1_000, costMs: 1, shards: 4, cores: 16 }), 1_000);
  });

  test("puts a read off until its turn before it refuses one", () => {
    const clock = new ManualClock();
    const share = new ReadShare(() => ({ api: 2, shards: 2, cores: 2 }), clock);
    for (let i = 0; i < 20; i++) {
      clock.pass(250);
      share.take();
    }
    clock.pass(10);
    const turns = Array.from({ length: 40 }, () => share.take());
    const putOff = turns.filter((turn) => turn !== undefined);
    assert.deepEqual(
      putOff,
      [...putOff].sort((a, b) => a - b),
    );
    assert(putOff.length > 3 && putOff.length < 40 && putOff.at(-1)! <= 500, putOff.join());
    assert(turns.slice(putOff.length).every((turn) => turn === undefined));
  });

  test("sheds reads with 429, never writes, health or metrics", async () => {
    const load = () => ({ api: 2, shards: 2, cores: 2 });
    const { clock, admission: door } = admission({ requestsMax: 100_000, requestsPerSecond: 100_000 }, load);
    const shed = { read: 0, other: 0 };
    const entered: Promise<unknown>[] = [];
    for (let ms = 0; ms < 5_000; ms++) {
      clock.pass(1);
      const asked = [
        ["read", read],
        ["other", write],
        ["other", health],
        ["other", metrics],
      ] as const;
      for (const [name, route] of asked) {
        const entering = door.enter("a", route).catch((error: unknown) => {
          refused("OVERLOADED", 1)(error);
          shed[name]++;
        });
        entered.push(entering);
      }
    }
    clock.pass(500);
    await Promise.all(entered);
    assert(shed.read > 1_000, String(shed.read));
    assert.equal(shed.other, 0);
  });
});
