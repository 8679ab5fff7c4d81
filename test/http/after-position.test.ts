/** Who has appended an event reads what it did: actors `after` a position, on a running node. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { startApiNode, untilFolded } from "../support/api-node.ts";
import { cloudEvent } from "../support/entries.ts";
import { getJson, sequenceOf } from "../support/node-process.ts";

const WRITERS = 20;
const ROUNDS = 10;
const { url } = await startApiNode("./echo.ts", "echo");

interface Actor {
  readonly shard: number;
  readonly position: string;
  readonly state: { readonly count: number; readonly last: string | null };
}

async function post(id: string, key: string, type = "echo.said"): Promise<string> {
  const answer = await fetch(`${url}/v1/logs/echo/events`, {
    method: "POST",
    headers: { "content-type": "application/cloudevents+json" },
    body: JSON.stringify(cloudEvent({ id, key, type })),
  });
  const { results } = (await answer.json()) as { results: [{ position: string }] };
  return results[0].position;
}

/** A read that gives way to busy shards is asked again, as its answer says. */
async function patiently(path: string, options: RequestInit = {}): Promise<Response> {
  for (;;) {
    const answer = await fetch(path, options);
    if (answer.status !== 429) return answer;
    if (((await answer.clone().json()) as { code: string }).code !== "OVERLOADED") return answer;
  }
}

async function refused(path: string): Promise<{ status: number; code: string; detail: string }> {
  const answer = await fetch(`${url}${path}`);
  const { code, detail } = (await answer.json()) as { code: string; detail: string };
  return { status: answer.status, code, detail };
}

suite("an actor after a position", () => {
  test("has what was written there, 200 times", async () => {
    const write = async (writer: number): Promise<void> => {
      const key = `writer ${writer}`;
      for (let round = 1; round <= ROUNDS; round++) {
        const id = `${writer}-${round}`;
        const after = await post(id, key);
        const byPath = writer % 2 === 0 ? `/${encodeURIComponent(key)}?` : `?key=${encodeURIComponent(key)}&`;
        const answer = await patiently(`${url}/v1/actors/echo${byPath}after=${after}&wait=30s`);
        const { state, position } = (await answer.json()) as Actor;
        assert.deepEqual(state, { count: round, last: id });
        assert(sequenceOf(position) >= sequenceOf(after));
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  });

  test("in the middle of a batch waits for that event", async () => {
    const batch = Array.from({ length: 50 }, (_, i) => cloudEvent({ id: `b${i}`, key: "batch", type: "echo.said" }));
    const answer = await fetch(`${url}/v1/logs/echo/events`, {
      method: "POST",
      headers: { "content-type": "application/cloudevents-batch+json" },
      body: JSON.stringify(batch),
    });
    const { results } = (await answer.json()) as { results: { position: string }[] };
    const { state } = await getJson<Actor>(`${url}/v1/actors/echo/batch?after=${results[24]!.position}`);
    assert(state.count >= 25, String(state.count));
  });

  test("that is committed already is answered at once, and a wait of nothing is enough", async () => {
    const after = await post("early", "early");
    await getJson<Actor>(`${url}/v1/actors/echo/early?after=${after}`);
    assert.equal((await getJson<Actor>(`${url}/v1/actors/echo/early?after=${after}&wait=2`)).state.count, 1);
  });

  test("that no entry has is answered with NOT_YET and the position reached", async () => {
    const { shard, position } = await getJson<Actor>(`${url}/v1/actors/echo/early`);
    const { status, code, detail } = await refused(`/v1/actors/echo/early?after=${shard}:999999.0&wait=200ms`);
    assert.deepEqual([status, code], [504, "NOT_YET"]);
    assert.match(detail, new RegExp(`echo/${shard} has reached ${shard}:\\d+\\.\\d+\\.`));
    assert(sequenceOf(position) > 0);
  });

  test("of another partition is refused, and so is what is no position or no time to wait", async () => {
    const { shard } = await getJson<Actor>(`${url}/v1/actors/echo/early`);
    for (const query of [
      `after=${1 - shard}:1.0`,
      "after=x",
      "after=",
      `after=${shard}:1`,
      `after=${shard}:1.0&wait=31`,
      `after=${shard}:1.0&wait=x`,
      `after=${shard}:1.0&wait=1h`,
    ]) {
      assert.deepEqual((await refused(`/v1/actors/echo/early?${query}`)).status, 400, query);
    }
  });

  test("whose event went to quarantine is still not there, once it is covered", async () => {
    const after = await post("bad", "nobody", "echo.unknown");
    assert.equal((await refused(`/v1/actors/echo/nobody?after=${after}`)).status, 404);
  });

  test("of a duplicate, which changes nothing, is covered all the same", async () => {
    await post("early", "early");
    const after = await post("early", "early");
    assert.equal((await getJson<Actor>(`${url}/v1/actors/echo/early?after=${after}`)).state.count, 1);
  });

  test("for more readers than may wait is refused with 429, and the shards fold on meanwhile", async () => {
    const { shard } = await getJson<Actor>(`${url}/v1/actors/echo/early`);
    const abort = new AbortController();
    const waiting = Array.from({ length: 40 }, async () => {
      const path = `${url}/v1/actors/echo/early?after=${shard}:999999.0&wait=30s`;
      const answer = await patiently(path, { signal: abort.signal }).catch(() => undefined);
      if (answer?.status === 429) return ((await answer.json()) as { code: string }).code;
      return answer?.status;
    });
    const first = await Promise.race(waiting);
    assert.equal(first, "TOO_MANY_WAITERS");
    await post("meanwhile", "meanwhile");
    await untilFolded(url, 1);
    // Those who hang up make room.
    abort.abort();
    assert.equal((await Promise.all(waiting)).filter((answer) => answer === "TOO_MANY_WAITERS").length, 40 - 32);
    const after = await post("room", "early");
    assert.equal((await getJson<Actor>(`${url}/v1/actors/echo/early?after=${after}`)).state.last, "room");
  });
});
