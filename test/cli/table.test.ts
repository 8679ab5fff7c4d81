/** What a terminal shows of lists and outputs: nothing that matters is cut, and what matters stands first. */
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { suite, test } from "node:test";
import { dataText } from "../../api/cli/terminal/output-text.ts";
import { Table } from "../../api/cli/terminal/table.ts";
import { Terminal } from "../../api/cli/terminal/terminal.ts";

type Row = readonly [key: string, data: string];

/** The lines of a table to which these parts are written one after the other, on a terminal of 40 columns. */
async function linesOf(...parts: readonly (readonly Row[])[]): Promise<string[]> {
  let text = "";
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  const streams = { stdout: Object.assign(stream, { isTTY: true, columns: 40 }), stderr: stream };
  const table = new Table<Row>(new Terminal(streams, { NO_COLOR: "1" }, false), [
    { title: "KEY", of: ([key]) => key },
    { title: "DATA", of: ([, data]) => data },
  ]);
  for (const rows of parts) await table.write(rows);
  return text.split("\n").slice(0, -1);
}

suite("a table", () => {
  test("never cuts its last column, however narrow the terminal is", async () => {
    assert.deepEqual(await linesOf([["a", "x".repeat(500)]]), ["KEY  DATA", `a    ${"x".repeat(500)}`]);
  });

  test("has room for a cell that comes later and is longer than those of the first rows", async () => {
    const lines = await linesOf([["a", "1"]], [["a-longer-key", "2"]], [["b", "3"]]);
    assert.deepEqual(lines, ["KEY  DATA", "a    1", "a-longer-key  2", "b             3"]);
  });

  test("cuts another column where it would push all others off the screen", async () => {
    const [, row] = await linesOf([["k".repeat(300), "1"]]);
    assert.equal(row, `${"k".repeat(47)}…  1`);
  });
});

suite("an output", () => {
  const told: readonly (readonly [type: string, data: object, text: string])[] = [
    [
      "tidemark.quarantine",
      { reason: "data/amount: is missing", code: "schema", position: "0:3.0", excerpt: "{}" },
      'schema: data/amount: is missing  {"position":"0:3.0","excerpt":"{}"}',
    ],
    [
      "tidemark.late",
      { eventId: "o-9", type: "order.placed", time: "T1", watermark: "T2", behindMs: 5, reason: "undecidable", excerpt: "" },
      'undecidable: order.placed o-9 of T1 is 5 ms behind the watermark  {"watermark":"T2","excerpt":""}',
    ],
    [
      "tidemark.duplicate-conflict",
      { eventId: "o-9", firstPosition: "0:1.0", excerpt: "" },
      'o-9 came before with other content  {"firstPosition":"0:1.0","excerpt":""}',
    ],
    [
      "tidemark.dead-letter",
      { handler: "a.b", error: { name: "E", message: "no", code: "HANDLER_FAILED" }, excerpt: "" },
      'a.b: no  {"excerpt":""}',
    ],
    [
      "tidemark.dead-letter",
      { handler: "a.b", error: { name: "E", message: "no", code: "OUTPUT_SCHEMA" }, excerpt: "" },
      'a.b: OUTPUT_SCHEMA: no  {"excerpt":""}',
    ],
    ["tidemark.quality", { rule: "negative", detail: { n: -1 }, eventId: "o-9" }, 'negative  {"detail":{"n":-1},"eventId":"o-9"}'],
    [
      "tidemark.audit",
      { what: "redrive", who: "eve", position: "0:9.0", detail: { deadLetter: "orders.3.7", outcome: "applied", reason: "mended" } },
      'redrive orders.3.7: applied  {"reason":"mended","who":"eve","position":"0:9.0"}',
    ],
    [
      "tidemark.audit",
      { what: "approved", who: "actor a", position: "0:9.0", detail: { by: 1 } },
      'approved  {"detail":{"by":1},"who":"actor a","position":"0:9.0"}',
    ],
    ["order.total", { total: 1 }, '{"total":1}'],
  ];
  for (const [type, data, text] of told) {
    test(`of the type ${type} is shown as ${text}`, () => assert.equal(dataText(type, data), text));
  }
});
