/** Outputs as they come, from a running node: compared with the pages of the same outputs. */
import assert from "node:assert/strict";
import { get, type IncomingMessage } from "node:http";
import { suite, test } from "node:test";
import { allOutputs, startApiNode } from "../support/api-node.ts";
import { cloudEvent, type ReadOutput } from "../support/entries.ts";
import { EventStreamClient, type StreamedEvent } from "../support/event-stream.ts";

const { url, node } = await startApiNode("./echo.ts", "echo");
const stream = (query = "") => `${url}/v1/outputs/stream${query}`;

let nextId = 0;
/** Gives the ids of the events, each of which makes one output. */
async function publish(count: number, data: unknown = null, key?: string): Promise<string[]> {
  const batch = Array.from({ length: count }, () => {
    const id = String(nextId++);
    return cloudEvent({ id, key: key ?? `key-${Number(id) % 13}`, type: "echo.said", data });
  });
  const answer = await fetch(`${url}/v1/logs/echo/events`, {
    method: "POST",
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify(batch),
  });
  if (answer.status !== 200) throw new Error(await answer.text());
  return batch.map(({ id }) => id);
}

const idsOf = (events: readonly StreamedEvent[]) => events.map(({ data }) => (JSON.parse(data) as ReadOutput).id);
const byShard = (ids: readonly string[]) => Map.groupBy(ids, (id) => id.slice(0, id.lastIndexOf(".")));

/** The pages, once there are so many outputs. */
async function pages(query = ""): Promise<ReadOutput[]> {
  return await allOutputs<ReadOutput>(url, query);
}

suite("the stream of outputs", () => {
  test("from the start has what the pages have, each as published", async () => {
    await publish(500);
    const client = new EventStreamClient(stream("?from=start"));
    await client.read(({ events }) => events.length === 500);
    const listed = await pages();
    assert.deepEqual(byShard(idsOf(client.events)), byShard(listed.map(({ id }) => id)));
    const byId = new Map(listed.map((output) => [output.id, output]));
    for (const { type, data } of client.events) {
      const output = JSON.parse(data) as ReadOutput;
      assert.deepEqual(output, byId.get(output.id));
      assert.equal(type, output.type);
    }
  });

  test("without a cursor has only what is new", async () => {
    const client = new EventStreamClient(stream());
    let published: Promise<string[]> | undefined;
    await client.read(({ events }) => {
      // The first block says where it begins: what is published from then on is new.
      published ??= publish(40);
      return events.length === 40;
    });
    const seen = client.events.map(({ data }) => (JSON.parse(data) as ReadOutput).data.id);
    assert.deepEqual(seen.sort(), (await published!).sort());
  });

  test("by key and by type has just those", async () => {
    const key = "käse / 1";
    const [first] = await publish(1, null, key);
    const client = new EventStreamClient(stream(`?from=start&type=echo.seen&key=${encodeURIComponent(key)}`));
    await client.read(({ events }) => events.length === 1);
    assert.equal((JSON.parse(client.events[0]!.data) as ReadOutput).data.id, first);
    const resumed = new EventStreamClient(stream(`?key=${encodeURIComponent(key)}`), client.lastEventId);
    await publish(100);
    const [second] = await publish(1, null, key);
    await resumed.read(({ events }) => events.length === 1);
    assert.equal((JSON.parse(resumed.events[0]!.data) as ReadOutput).data.id, second);
    const none = new EventStreamClient(stream("?from=start&type=echo.none"));
    await none.read(({ lastEventId }) => lastEventId !== undefined);
    assert.deepEqual(none.events, []);
  });

  test("cut off at any byte and resumed while outputs go on loses nothing and doubles nothing", async () => {
    const before = (await pages()).length;
    const client = new EventStreamClient(stream("?from=start"));
    const total = before + 3_000;
    const publishing = (async () => {
      for (let i = 0; i < 30; i++) await publish(100);
    })();
    let cuts = 0;
    for (let bytes = 7; client.events.length < total; bytes = (bytes * 31 + 17) % 60_000) {
      await client.read(({ events }) => events.length === total, bytes);
      cuts++;
    }
    await publishing;
    const ids = idsOf(client.events);
    assert.equal(new Set(ids).size, ids.length);
    assert.deepEqual(byShard(ids), byShard((await pages()).map(({ id }) => id)));
    assert(cuts > 10, `only ${cuts} cuts`);
  });

  test("takes a cursor of the pages, and its cursor is taken by them", async () => {
    const page = (await (await fetch(`${url}/v1/outputs?limit=100`)).json()) as { items: ReadOutput[]; next: string };
    const client = new EventStreamClient(stream(`?cursor=${page.next}`));
    const all = await pages();
    await client.read(({ events }) => events.length === all.length - 100);
    const ids = [...page.items.map(({ id }) => id), ...idsOf(client.events)];
    assert.deepEqual(byShard(ids), byShard(all.map(({ id }) => id)));
    await publish(5);
    while ((await pages()).length < all.length + 5);
    assert.equal((await allOutputs<ReadOutput>(url, `&cursor=${client.lastEventId}`)).length, 5);
  });

  test("whose reader does not read for a while is paused, and has everything when it goes on", async () => {
    const response = await new Promise<IncomingMessage>((resolve) => get(stream(), resolve));
    // Nothing is taken from the response before all of it, far more than sockets hold, is published.
    for (let i = 0; i < 12; i++) await publish(100, "x".repeat(10_000));
    const ids: string[] = [];
    let text = "";
    for await (const chunk of response.setEncoding("utf8") as AsyncIterable<string>) {
      const blocks = (text + chunk).split("\n\n");
      text = blocks.pop()!;
      for (const block of blocks) {
        const at = block.indexOf("\ndata: ");
        if (at !== -1) ids.push((JSON.parse(block.slice(at + 7)) as ReadOutput).id);
      }
      if (ids.length >= 1_200) break;
    }
    assert.deepEqual([ids.length, new Set(ids).size], [1_200, 1_200]);
  });

  for (const [name, query, lastEventId] of [
    ["a cursor that is none", "?cursor=x", undefined],
    ["a Last-Event-ID that is none", "", "x"],
    ["a cursor that is ahead of its stream", "", Buffer.from('{"echo/0":1000000}').toString("base64url")],
    ["a type that is none", "?type=a..b", undefined],
    ["a key that is none", "?key=", undefined],
    ["another beginning", "?from=middle", undefined],
  ] as const) {
    test(`with ${name} is refused`, async () => {
      const answer = await fetch(stream(query), { headers: lastEventId === undefined ? {} : { "last-event-id": lastEventId } });
      assert.equal(answer.status, 400);
      assert.match(answer.headers.get("content-type") ?? "", /^application\/problem\+json/);
    });
  }

  test("ends when the node drains, and the node ends well", async () => {
    const clients = Array.from({ length: 5 }, () => new EventStreamClient(stream()));
    let opened = 0;
    const ended = clients.map((client) =>
      client
        .read(() => {
          if (++opened === clients.length) node.child.kill("SIGTERM");
          return false;
        })
        .catch((error: unknown) => error),
    );
    await Promise.all(ended);
    assert.equal((await node.exited).code, 0);
  });
});
