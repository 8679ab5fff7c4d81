/** Schemas activated over HTTP for a log none of whose jobs reads a table: its reference stream comes with the first. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { NatsReferenceLog } from "../../runtime/reference/reference-log.ts";
import { allOutputs, startApiNode, untilFolded } from "../support/api-node.ts";
import { runPiped } from "../support/cli-run.ts";
import { cloudEvent, T0 } from "../support/entries.ts";

const TYPE = "meter.reading";
const { url, nc } = await startApiNode("./meter-hold.ts", "meter");
const api = `${url}/v1/logs/meter/reference/_schemas`;
const FROM = "2026-01-01T00:00:00Z";
const atMost = (maximum: number) => ({ properties: { value: { maximum } } });

interface Body {
  readonly code: string;
  readonly detail: string;
  readonly written: boolean;
  readonly sequence: number | null;
  readonly missing: readonly number[];
  readonly positions: readonly string[];
  readonly items: readonly { readonly id: string; readonly version: number; readonly data: unknown }[];
}

async function call(target: string, body?: unknown) {
  const put = { method: "PUT", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const answer = await fetch(target, body === undefined ? {} : put);
  return { status: answer.status, body: (await answer.json()) as Body };
}

const put = (version: number, data: unknown, query = "", type = TYPE) =>
  call(`${api}/${encodeURIComponent(type)}${query}`, { version, effectiveFrom: FROM, data });

let sent = 0;
/** One event for each of some keys, so that every partition has one. */
async function send(value: number, keys = 8): Promise<number> {
  const events = Array.from({ length: keys }, (_, i) => {
    const key = `d${i}`;
    return cloudEvent({ id: `e${sent + i}`, key, type: TYPE, time: T0, data: { deviceId: key, value } });
  });
  sent += keys;
  const headers = { "content-type": "application/cloudevents-batch+json" };
  const answer = await fetch(`${url}/v1/logs/meter/events`, { method: "POST", headers, body: JSON.stringify(events) });
  assert.ok(answer.ok, await answer.text());
  return sent;
}

const quarantined = async () =>
  (await allOutputs<{ readonly type: string; readonly data: { readonly code: string; readonly reason: string } }>(url)).filter(
    ({ type }) => type === "tidemark.quarantine",
  );

suite("a schema", () => {
  test("that is only tried, or refused, is not written, and nothing is reserved for it", async () => {
    const dry = await put(1, atMost(5), "?dryRun=true");
    assert.deepEqual([dry.status, dry.body.written, dry.body.sequence], [200, true, null]);
    const refused: readonly (readonly [data: unknown, reason: RegExp])[] = [
      [{ $ref: "https://example.com/s.json" }, /data \/\$ref must be "#\/\$defs\/<name>"; no other reference/],
      [{ properties: { value: { minimun: 1 } } }, /data \/properties\/value has the keyword "minimun", which is not understood/],
      [{ pattern: "(a)\\1" }, /\/pattern cannot be used/],
      [true, /must be a JSON Schema, which is an object/],
      [{ description: "x".repeat(70_000) }, /65536/],
    ];
    for (const [data, reason] of refused) {
      const { status, body } = await put(1, data);
      assert.deepEqual([status, body.code], [400, "REFERENCE_INVALID"], JSON.stringify(body));
      assert.match(body.detail, reason);
    }
    const mistyped = await put(1, atMost(5), "", "meter.raeding");
    assert.deepEqual([mistyped.status, mistyped.body.code], [400, "REFERENCE_INVALID"]);
    assert.match(mistyped.body.detail, /no job of the log takes events of that type; they take "meter\.reading"/);
    assert.equal((await call(`${api}/${TYPE}`)).status, 404);
    assert.deepEqual((await call(api)).body.items, []);
    assert.equal(await new NatsReferenceLog(nc, "meter").exists(), false);
  });

  test("that is put holds every event published behind the answer to it, in every partition", async () => {
    await send(9);
    const { status, body } = await put(1, atMost(5), "?wait=30s");
    assert.deepEqual([status, body.written, body.missing, body.positions.length], [200, true, [], 2]);
    await send(9);
    await untilFolded(url, await send(5));
    const refused = await quarantined();
    assert.equal(refused.length, 8);
    for (const { data } of refused) {
      assert.deepEqual([data.code, data.reason], ["schema", "data /value must be <= 5 (schema version 1 of meter.reading)"]);
    }
  });

  test("put again is found, and another under its version is a conflict", async () => {
    assert.deepEqual((await put(1, atMost(5))).body.written, false);
    const { status, body } = await put(1, atMost(6));
    assert.deepEqual([status, body.code], [409, "REFERENCE_CONFLICT"]);
  });

  test("is put and shown by the command as any record is, and ended", async () => {
    const line = JSON.stringify({ id: TYPE, version: 2, effectiveFrom: FROM, data: null });
    const ended = await runPiped(["reference", "put", "meter", "_schemas", "--url", url], {}, line);
    assert.deepEqual([ended.code, ended.stderr], [0, ""]);
    const shown = await runPiped(["reference", "get", "meter", "_schemas", TYPE, "--url", url]);
    const versions = shown.stdout.trim().split("\n");
    assert.deepEqual(
      versions.map((text) => (JSON.parse(text) as { readonly version: number }).version),
      [1, 2],
    );
    await untilFolded(url, await send(9));
    assert.equal((await quarantined()).length, 8);
  });

  test("is listed while it is in force", async () => {
    await put(3, atMost(7));
    let items: Body["items"];
    // The list is as of a commit, which comes a moment later.
    do items = (await call(`${api}?asOf=2026-02-01T00:00:00Z`)).body.items;
    while (items[0]?.version !== 3);
    assert.deepEqual(
      items.map(({ id, data }) => [id, data]),
      [[TYPE, atMost(7)]],
    );
    assert.equal((await call(`${url}/v1/logs/meter/reference/_rules`)).status, 404);
    assert.equal((await call(`${url}/v1/logs/nothing/reference/_schemas`)).status, 404);
  });
});
