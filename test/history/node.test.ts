/** The past of actors on a running node, over HTTP. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { slotOf } from "../../actors/model/key.ts";
import { startApiNode, untilFolded } from "../support/api-node.ts";
import { cloudEvent, T0 } from "../support/entries.ts";
import { getJson } from "../support/node-process.ts";

interface Actor {
  readonly shard: number;
  readonly position: string;
  readonly watermark: string | null;
  readonly state: { readonly count: number; readonly last: string | null };
}

interface Operation {
  readonly id: string;
  readonly status: string;
  readonly done: number;
  readonly total: number | null;
  readonly result?: Actor | null;
  readonly error?: { readonly code: string };
}

interface Timeline {
  readonly items: readonly {
    readonly kind: string;
    readonly id?: string;
    readonly name?: string;
    readonly disposition?: string;
    readonly outputs: readonly { readonly type: string }[];
    readonly changes: unknown;
  }[];
  readonly next: string | null;
}

interface Explained {
  readonly output: unknown;
  readonly position: string;
  readonly handler: string;
  readonly job: string;
  readonly cause: { readonly kind: string; readonly id?: string; readonly armedBy?: { readonly id: string } };
  readonly state: unknown;
  readonly inputs: readonly { readonly kind: string; readonly event?: { readonly id: string } }[];
  readonly epoch: { readonly codeHash: string };
}

const EVENTS = 60;
/** A question that folds more than this becomes an operation. */
const BOUND = 45;
const { url, nats } = await startApiNode("./echo.ts", "echo", { TIDEMARK_HISTORY_ENTRIES: String(BOUND) });
const positions: string[] = [];
for (let i = 1; i <= EVENTS; i++) positions.push(...(await post([cloudEvent({ id: `e${i}`, key: "k", type: "echo.said" })])));
await untilFolded(url, EVENTS);
const shard = Number(positions[0]!.split(":")[0]);

async function post(events: readonly object[]): Promise<string[]> {
  const answer = await fetch(`${url}/v1/logs/echo/events`, {
    method: "POST",
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify(events),
  });
  const { results } = (await answer.json()) as { results: { position: string }[] };
  return results.map(({ position }) => position);
}

async function committed(position: string): Promise<void> {
  await getJson(`${url}/v1/actors/echo/k?after=${position}&wait=30s`);
}

async function problem(path: string): Promise<readonly [number, string]> {
  const answer = await fetch(`${url}${path}`);
  return [answer.status, ((await answer.json()) as { code: string }).code];
}

/** The answer, also when it is an operation's. */
async function answered<T>(path: string): Promise<T> {
  const answer = await fetch(`${url}${path}`);
  if (answer.status === 202) return (await ended(path)).result as T;
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()) as T;
}

async function ended(path: string): Promise<Operation> {
  const answer = await fetch(`${url}${path}`);
  assert.equal(answer.status, 202);
  const location = answer.headers.get("location")!;
  for (;;) {
    const operation = await getJson<Operation>(`${url}${location}`);
    if (operation.status !== "running") return operation;
  }
}

suite("an actor in the past", () => {
  test("that takes more entries than a caller waits for is an operation, whose result is the answer", async () => {
    // The first question: a later one goes on from the state of an earlier one, and has less to fold.
    await committed(positions.at(-1)!);
    const { status, result, done, total } = await ended(`/v1/actors/echo/k?at=${positions.at(-1)}`);
    assert.equal(status, "succeeded");
    assert.deepEqual(result?.state, { count: EVENTS, last: `e${EVENTS}` });
    assert.ok(total !== null && total > BOUND && done <= total, `${done} of ${total}`);
  });

  test("as of a position is what it was then, whichever is asked for first", async () => {
    for (const i of [10, 3, 30, 11, 1]) {
      const position = positions[i - 1]!;
      const actor = await getJson<Actor>(`${url}/v1/actors/echo/k?at=${position}`);
      assert.deepEqual([actor.state, actor.position], [{ count: i, last: `e${i}` }, position]);
      assert.deepEqual(await getJson<Actor>(`${url}/v1/actors/echo?key=k&at=${position}`), actor);
    }
  });

  test("within a batch is what that event made of it", async () => {
    const batch = await post(Array.from({ length: 5 }, (_, i) => cloudEvent({ id: `b${i}`, key: "batched", type: "echo.said" })));
    await getJson(`${url}/v1/actors/echo/batched?after=${batch[4]}&wait=30s`);
    const answer = await fetch(`${url}/v1/actors/echo/batched?at=${batch[2]}`);
    const actor = (answer.status === 202 ? (await ended(`/v1/actors/echo/batched?at=${batch[2]}`)).result : await answer.json()) as Actor;
    assert.deepEqual([actor.state, actor.position], [{ count: 3, last: "b2" }, batch[2]]);
  });

  test("as of a log time is what the entries of until then made of it", async () => {
    const { messages } = await storedTimes();
    const at = messages.get(positions[19]!)!;
    const count = positions.filter((position) => messages.get(position)! <= at).length;
    const actor = await getJson<Actor>(`${url}/v1/actors/echo/k?at=${new Date(at).toISOString()}`);
    assert.equal(actor.state.count, count);
  });

  test("has a timeline with positions and changes, a batch's events among it, in pages", async () => {
    const batch = await post([
      cloudEvent({ id: "t1", key: "lines", type: "echo.said" }),
      cloudEvent({ id: "t2", key: "lines", type: "echo.said", time: T0 + 5 }),
      cloudEvent({ id: "t1", key: "lines", type: "echo.said" }),
      cloudEvent({ id: "t3", key: "lines", type: "echo.arming", data: "x" }),
    ]);
    await getJson(`${url}/v1/actors/echo/lines?after=${batch[3]}&wait=30s`);
    const [single] = await post([cloudEvent({ id: "t4", key: "lines", type: "echo.said", time: T0 + 3_600_000 })]);
    await getJson(`${url}/v1/actors/echo/lines?after=${single}&wait=30s`);
    const page = await answered<Timeline>(`/v1/actors/echo/lines/timeline?state=true`);
    assert.equal(page.next, null);
    const told = page.items.map(({ kind, id, name, disposition, outputs }) => [
      kind,
      id || name,
      disposition,
      outputs.map(({ type }) => type),
    ]);
    assert.deepEqual(told, [
      ["event", "t1", "applied", ["echo.seen"]],
      ["event", "t2", "applied", ["echo.seen"]],
      ["event", "t1", "duplicate", []],
      ["event", "t3", "applied", []],
      ["timer", "alarm", undefined, ["tidemark.dead-letter"]],
      ["event", "t4", "applied", ["echo.seen"]],
    ]);
    assert.deepEqual(page.items[1]!.changes, [
      { actor: "echo", cell: "count", before: 1, after: 2 },
      { actor: "echo", cell: "last", before: "t1", after: "t2" },
    ]);
    assert.deepEqual(page.items[2]!.changes, []);
    const paged: Timeline["items"][number][] = [];
    for (let next: string | null = batch[0]!; next !== null; ) {
      const part: Timeline = await answered<Timeline>(`/v1/actors/echo/lines/timeline?state=true&limit=2&from=${next}`);
      paged.push(...part.items);
      next = part.next;
    }
    assert.deepEqual(paged, page.items);
  });

  test("explains an output by what led to it", async () => {
    const { items } = await getJson<{ items: readonly { id: string; causeid: string; position: string }[] }>(
      `${url}/v1/outputs?type=echo.seen&key=lines`,
    );
    const output = items.find(({ causeid }) => causeid === "t2")!;
    const told = await answered<Explained>(`/v1/outputs/${output.id}/explain`);
    assert.deepEqual([told.output, told.position, told.handler, told.job], [output, output.position, "echo.echo.said", "echo"]);
    assert.deepEqual([told.cause.kind, told.cause.id], ["event", "t2"]);
    assert.deepEqual(told.state, { before: { echo: { count: 1, last: "t1" } }, after: { echo: { count: 2, last: "t2" } } });
    assert.deepEqual(
      told.inputs.filter(({ kind }) => kind === "event").map(({ event }) => event?.id),
      ["t1", "t2"],
    );
    assert.match(told.epoch.codeHash, /^[0-9a-f]{64}$/);
    const letter = (await getJson<{ items: readonly { id: string }[] }>(`${url}/v1/outputs?type=tidemark.dead-letter&key=lines`)).items[0]!;
    const ofTimer = await answered<Explained>(`/v1/outputs/${letter.id}/explain`);
    assert.deepEqual([ofTimer.cause.kind, ofTimer.cause.armedBy?.id], ["timer", "t3"]);
    assert.deepEqual(await problem("/v1/outputs/echo.0.999999/explain"), [404, "NOT_FOUND"]);
    assert.deepEqual(await problem("/v1/outputs/nonsense/explain"), [400, "BAD_REQUEST"]);
  });

  test("that was not yet, or is malformed, is refused with its code", async () => {
    const [partition, sequence] = positions.at(-1)!.split(/[:.]/).map(Number);
    const other = `${1 - partition!}:1.0`;
    assert.deepEqual(await problem(`/v1/actors/echo/k?at=${partition}:${sequence! + 1_000}.0`), [504, "NOT_YET"]);
    assert.deepEqual(await problem("/v1/actors/echo/k?at=2999-01-01T00:00:00Z"), [504, "NOT_YET"]);
    assert.deepEqual(await problem("/v1/actors/echo/k?atEventTime=2999-01-01T00:00:00Z"), [504, "NOT_YET"]);
    assert.deepEqual(await problem("/v1/actors/echo/k?at=yesterday"), [400, "INPUT_INVALID"]);
    assert.deepEqual(await problem(`/v1/actors/echo/k?at=${other}`), [400, "INPUT_INVALID"]);
    assert.deepEqual(await problem(`/v1/actors/echo/k?at=${positions[0]}&atEventTime=2026-01-01T00:00:00Z`), [400, "INPUT_INVALID"]);
    const unknown = ["u1", "u2", "u3", "u4", "u5", "u6"].find((key) => slotOf(key) % 2 === partition);
    assert.deepEqual(await problem(`/v1/actors/echo/${unknown}?at=${partition}:5.0`), [404, "NOT_FOUND"]);
  });
});

async function storedTimes(): Promise<{ readonly messages: ReadonlyMap<string, number> }> {
  const messages = new Map<string, number>();
  const { connect } = await import("@nats-io/transport-node");
  const { jetstreamManager } = await import("@nats-io/jetstream");
  const nc = await connect({ servers: nats.url });
  const jsm = await jetstreamManager(nc);
  for (const position of positions) {
    const seq = Number(position.split(/[:.]/)[1]);
    messages.set(position, (await jsm.streams.getMessage(`echo-${shard}`, { seq }))!.time.getTime());
  }
  await nc.close();
  return { messages };
}
