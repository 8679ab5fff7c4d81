/** Dead letters of a running node: listed, shown with what they were made of, and put back into the job's journal. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { headers } from "@nats-io/transport-node";
import { journalSubject } from "../../actors/fold/subject.ts";
import { slotOf } from "../../actors/model/key.ts";
import { storedMessage, streamInfo } from "../../runtime/log/jetstream-api.ts";
import { allOutputs, startApiNode, untilFolded } from "../support/api-node.ts";
import { MENDED } from "../support/echo.ts";
import { cloudEvent, type ReadOutput, T0 } from "../support/entries.ts";
import { getJson, sequenceOf } from "../support/node-process.ts";

interface Letter {
  readonly id: string;
  readonly key: string;
  readonly shard: number;
  readonly position: string;
  readonly handler: string;
  readonly excerpt: string;
  readonly eventId?: string;
  readonly timer?: object;
  readonly redriven?: string | null;
  readonly error: { readonly message: string; readonly code: string };
}
interface Shown extends Letter {
  readonly event: Record<string, unknown> | null;
  readonly redrives: readonly { readonly position: string; readonly who: string; readonly reason: string }[];
}
interface List {
  readonly items: readonly Letter[];
  readonly next: string | null;
}

const { url, nc } = await startApiNode("./echo.ts", "echo");
const KEYS = Array.from({ length: 12 }, (_, i) => (i === 0 ? "käse / 1" : `key-${i}`));

async function send(batch: readonly object[]): Promise<void> {
  const answer = await fetch(`${url}/v1/logs/echo/events`, {
    method: "POST",
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify(batch),
  });
  assert.equal(answer.status, 200, await answer.text());
}

// One failing event of each key, one event in binary mode on a key's own subject, and one timer, whose time an event of its partition passes.
const event = (key: string, extra: object = {}) => ({
  ...cloudEvent({ id: `f-${key}`, key, type: "echo.failing", data: { n: 1.5 } }),
  myext: "ü",
  ...extra,
});
await send(KEYS.map((key) => event(key)));
const head = headers();
const BINARY = { specversion: "1.0", id: "binary", source: "/s", type: "echo.failing", time: "2026-01-15T12:00:00Z" };
for (const [name, value] of Object.entries(BINARY)) head.set(`ce-${name}`, value);
head.set("content-type", "text/csv");
await nc.request(`echo.${slotOf("binary")}.e.binary`, "1,2", { headers: head, timeout: 5_000 });
await send([
  cloudEvent({ id: "arm", key: "armed", type: "echo.arming", data: { why: "ü" } }),
  cloudEvent({ id: "later", key: "armed", type: "echo.said", time: T0 + 600_000 }),
]);
await untilFolded(url, KEYS.length + 3);

async function all(query = "", limit = 5): Promise<Letter[]> {
  const items: Letter[] = [];
  for (let next: string | null = ""; next !== null; ) {
    const page: List = await getJson(`${url}/v1/dead-letters?limit=${limit}${query}${next === "" ? "" : `&cursor=${next}`}`);
    assert(page.items.length <= limit);
    items.push(...page.items);
    next = page.next;
  }
  return items;
}
const show = (id: string) => getJson<Shown>(`${url}/v1/dead-letters/${id}`);
const letterOf = async (key: string) => (await all(`&key=${encodeURIComponent(key)}`)).at(-1)!;

async function redrive(id: string, body?: unknown) {
  const json = { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const answer = await fetch(`${url}/v1/dead-letters/${id}/redrive`, { method: "POST", ...(body === undefined ? {} : json) });
  return { status: answer.status, body: (await answer.json()) as { deadLetter: string; position: string; code?: string } };
}

/** The journal's entry at a position. */
async function entryAt(position: string): Promise<{ subject: string; entry: Record<string, unknown> }> {
  const stored = await storedMessage(nc, `echo-${position[0]}`, { next_by_subj: ">", seq: sequenceOf(position) });
  return { subject: stored!.subject, entry: JSON.parse(Buffer.from(stored!.payload).toString()) as Record<string, unknown> };
}

suite("dead letters", () => {
  for (const limit of [1, 5, 1_000]) {
    test(`are all listed once, ${limit} at a time`, async () => {
      const letters = await all("", limit);
      assert.deepEqual(letters.map(({ key }) => key).sort(), [...KEYS, "binary", "armed"].sort());
      assert.equal(new Set(letters.map(({ id }) => id)).size, letters.length);
    });
  }

  test("say what failed, where, and why", async () => {
    const { id, shard, position, excerpt, handler, ...letter } = await letterOf("käse / 1");
    assert.match(id, new RegExp(`^echo\\.${shard}\\.\\d+$`));
    assert.match(position, new RegExp(`^${shard}:\\d+\\.\\d+$`));
    assert.deepEqual(letter, {
      job: "echo",
      time: "2026-01-15T12:00:00.000Z",
      key: "käse / 1",
      jobVersion: 1,
      error: { name: "Error", message: "asked to fail", code: "HANDLER_FAILED" },
      eventId: "f-käse / 1",
      redriven: null,
    });
    assert.match(handler, /^echo\..*failing$/);
    assert.ok(excerpt.includes(JSON.stringify(event("käse / 1"))));
  });

  test("are listed by job, key and handler", async () => {
    assert.equal((await all("&job=echo")).length, KEYS.length + 2);
    assert.deepEqual(
      (await all("&handler=echo.alarm", 1)).map(({ key }) => key),
      ["armed"],
    );
    assert.deepEqual(await all("&handler=echo.none", 3), []);
    assert.equal((await fetch(`${url}/v1/dead-letters?job=other`)).status, 404);
    assert.equal((await fetch(`${url}/v1/dead-letters?cursor=x`)).status, 400);
    assert.equal((await fetch(`${url}/v1/dead-letters?key=`)).status, 400);
  });

  test("are shown with the event as the log holds it, out of a batch and out of binary mode", async () => {
    for (const key of KEYS) {
      const shown = await show((await letterOf(key)).id);
      assert.deepEqual([shown.event, shown.redrives], [event(key), []]);
    }
    const { event: read } = await show((await letterOf("binary")).id);
    assert.deepEqual(read, { ...BINARY, datacontenttype: "text/csv", data: "1,2" });
    assert.equal((await show((await letterOf("armed")).id)).event, null);
  });

  test("that are none are not found", async () => {
    const { id } = await letterOf("key-1");
    const seen = (await getJson<{ items: { id: string }[] }>(`${url}/v1/outputs?type=echo.seen`)).items[0]!.id;
    for (const other of [
      "x",
      "echo.0.0",
      "echo.0.999999",
      "echo.9.1",
      "other.0.1",
      `${id}.1`,
      `${id}x`,
      seen,
      "echo.00.1",
      "__proto__.0.1",
    ]) {
      assert.equal((await fetch(`${url}/v1/dead-letters/${other}`)).status, 404, other);
      assert.equal((await redrive(other)).status, 404, other);
    }
  });
});

suite("a redrive", () => {
  test("is a command in the journal of the job and the partition, with the event in it", async () => {
    const { id, shard, handler } = await letterOf("key-2");
    const { status, body } = await redrive(id, { reason: "mended ü" });
    assert.equal(status, 202);
    assert.equal(body.deadLetter, id);
    assert.deepEqual(await entryAt(body.position), {
      subject: `echo.p${shard}.j.echo`,
      entry: { kind: "redrive", deadLetter: id, handler, who: "loopback", reason: "mended ü", event: event("key-2") },
    });
    const { redrives } = await show(id);
    assert.deepEqual(
      redrives.map(({ position, who, reason }) => ({ position, who, reason })),
      [{ position: body.position, who: "loopback", reason: "mended ü" }],
    );
  });

  test("of an event that did not say its key says it", async () => {
    const { id } = await letterOf("binary");
    const { body } = await redrive(id);
    const { entry } = await entryAt(body.position);
    assert.deepEqual([entry.reason, entry.event], [undefined, { ...BINARY, datacontenttype: "text/csv", data: "1,2", subject: "binary" }]);
  });

  test("with a body that is none is refused, and nothing is appended", async () => {
    const { id, shard } = await letterOf("key-3");
    const { state } = await streamInfo(nc, `echo-${shard}`);
    for (const body of [{ reason: 5 }, { reason: "x".repeat(501) }, { why: "x" }, [], null, "x"])
      assert.equal((await redrive(id, body)).status, 400);
    const after = await nc.request(
      `$JS.API.STREAM.MSG.GET.echo-${shard}`,
      JSON.stringify({ next_by_subj: journalSubject("echo", shard, "echo"), seq: state.last_seq + 1 }),
      { timeout: 5_000 },
    );
    assert.ok(after.string().includes('"err_code":10037'));
  });

  test("sent twice under one Idempotency-Key is appended once", async () => {
    const { id } = await letterOf("key-4");
    const positions: string[] = [];
    for (let i = 0; i < 2; i++) {
      const answer = await fetch(`${url}/v1/dead-letters/${id}/redrive`, { method: "POST", headers: { "idempotency-key": "k4" } });
      positions.push(((await answer.json()) as { position: string }).position);
    }
    assert.equal(positions[0], positions[1]);
    assert.equal((await show(id)).redrives.length, 1);
  });

  test("of an event that the log no longer holds is refused with 409, and the dead letter shows none", async () => {
    // In an entry of its own: those that came as a batch share one.
    await send([event("alone")]);
    let letter = await letterOf("alone");
    while (letter === undefined) letter = await letterOf("alone");
    const { id, shard, position } = letter;
    await nc.request(`$JS.API.STREAM.MSG.DELETE.echo-${shard}`, JSON.stringify({ seq: sequenceOf(position), no_erase: true }), {
      timeout: 5_000,
    });
    assert.equal((await show(id)).event, null);
    assert.deepEqual(await redrive(id).then(({ status, body }) => [status, body.code]), [409, "NOT_REDRIVABLE"]);
  });
});

suite("what was redriven", () => {
  /** Resolves with the audit of the redrive at a position. */
  async function outcomeOf(position: string): Promise<Record<string, unknown>> {
    assert(position !== undefined, "nothing was appended");
    for (;;) {
      const audits = await allOutputs<ReadOutput>(url, "&type=tidemark.audit");
      const audit = audits.find(({ data }) => data.position === position);
      if (audit !== undefined) return audit.data.detail as Record<string, unknown>;
    }
  }
  const seenBy = async (key: string) => (await allOutputs<ReadOutput>(url, `&type=echo.seen&key=${key}`)).map(({ data }) => data);

  test("and fails again makes a dead letter that shows the same event, and may be redriven too", async () => {
    const first = await letterOf("key-6");
    const { body } = await redrive(first.id);
    assert.deepEqual(await outcomeOf(body.position), { deadLetter: first.id, outcome: "dead-lettered", reason: "" });
    const second = await letterOf("key-6");
    assert.notEqual(second.id, first.id);
    assert.deepEqual((await show(second.id)).event, event("key-6"));
    await send([cloudEvent({ id: MENDED, key: "key-6", type: "echo.said" })]);
    const again = await redrive(second.id, { reason: "mended" });
    assert.deepEqual(await outcomeOf(again.body.position), { deadLetter: second.id, outcome: "applied", reason: "mended" });
    assert.deepEqual((await seenBy("key-6")).at(-1), { id: "f-key-6", data: { n: 1.5 } });
  });

  test("shows in the list with what became of it, and is not among those that are open", async () => {
    const { id } = await letterOf("key-8");
    assert.ok((await all("&open=true", 3)).some((letter) => letter.id === id));
    const { body } = await redrive(id);
    assert.equal((await outcomeOf(body.position)).outcome, "dead-lettered");
    const [first, second] = await all("&key=key-8");
    assert.deepEqual([first?.id, first?.redriven, second?.redriven], [id, "dead-lettered", null]);
    assert.deepEqual(
      (await all("&key=key-8&open=true")).map((letter) => letter.id),
      [second?.id],
    );
    await outcomeOf((await redrive(id)).body.position);
    assert.equal((await all("&key=key-8"))[0]?.redriven, "dead-lettered");
    assert.equal((await fetch(`${url}/v1/dead-letters?open=yes`)).status, 400);
  });

  test("once is refused by the shard when it is redriven again", async () => {
    const { id } = await letterOf("key-7");
    await redrive(id);
    const { body } = await redrive(id);
    assert.equal((await outcomeOf(body.position)).outcome, "refused");
  });

  test("of a timer calls its handler with its data", async () => {
    const { id } = await letterOf("armed");
    await send([cloudEvent({ id: MENDED, key: "armed", type: "echo.said", time: T0 + 600_000 })]);
    const { status, body } = await redrive(id);
    assert.equal(status, 202);
    assert.equal((await outcomeOf(body.position)).outcome, "applied");
    assert.deepEqual((await seenBy("armed")).at(-1), { id: "alarm", data: { why: "ü" } });
  });

  test("of a timer whose data the dead letter does not hold as a whole is refused with 409", async () => {
    await send([
      cloudEvent({ id: "arm", key: "large", type: "echo.arming", data: "x".repeat(5_000), time: T0 + 600_000 }),
      cloudEvent({ id: "later", key: "large", type: "echo.said", time: T0 + 1_200_000 }),
    ]);
    let letter = await letterOf("large");
    while (letter === undefined) letter = await letterOf("large");
    assert.deepEqual(await redrive(letter.id).then(({ status, body }) => [status, body.code]), [409, "NOT_REDRIVABLE"]);
  });
});
