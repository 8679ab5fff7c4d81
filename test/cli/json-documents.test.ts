/** Documents cut out of a stream of bytes: the same ones wherever the stream is cut into chunks. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { jsonDocuments } from "../../api/cli/publish/json-documents.ts";
import { isTidemarkError } from "../../runtime/errors.ts";

const MAX = 200;

async function* chunksOf(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const cut of [...cuts, bytes.length].map((each) => Math.min(each, bytes.length)).sort((a, b) => a - b)) {
    yield bytes.subarray(from, cut);
    from = cut;
  }
}

async function read(text: string | Uint8Array, cuts: readonly number[] = []): Promise<[number, string | undefined][]> {
  const found: [number, string | undefined][] = [];
  const bytes = Buffer.from(text);
  let bytesRead = 0;
  for await (const block of jsonDocuments(chunksOf(bytes, cuts), MAX)) {
    for (const { line, bytes: document } of block.documents) found.push([line, document && Buffer.from(document).toString()]);
    bytesRead = block.bytesRead;
  }
  assert.equal(bytesRead, bytes.length);
  return found;
}

suite("lines", () => {
  test("are documents; empty ones are not, and the last needs no end", async () => {
    assert.deepEqual(await read('{"a":1}\n\n  \r\n{"b":2}\r\n{"c":3}'), [
      [1, '{"a":1}'],
      [4, '{"b":2}\r'],
      [5, '{"c":3}'],
    ]);
  });

  test("of an empty input are none", async () => {
    for (const text of ["", "\n", " \n \n", "\ufeff", "\ufeff\n"]) assert.deepEqual(await read(text), [], JSON.stringify(text));
  });

  test("may begin with a byte order mark", async () => assert.deepEqual(await read('\ufeff{"a":1}\n'), [[1, '{"a":1}']]));

  test("that are too long are told and skipped, and the next one is read", async () => {
    assert.deepEqual(await read(`{"a":1}\n${"x".repeat(MAX + 1)}\n{"b":2}`), [
      [1, '{"a":1}'],
      [2, undefined],
      [3, '{"b":2}'],
    ]);
    assert.deepEqual(await read("y".repeat(MAX)), [[1, "y".repeat(MAX)]]);
  });
});

suite("an array", () => {
  test("gives its elements with the lines that they begin on", async () => {
    assert.deepEqual(await read('[\n {"a":[1,"]"]},\n\n {"b":"\\"},{"}\n]\n'), [
      [2, '{"a":[1,"]"]}'],
      [4, '{"b":"\\"},{"}\n'],
    ]);
    assert.deepEqual(await read(" [] "), []);
    assert.deepEqual(await read('\ufeff[1,"x",null]'), [
      [1, "1"],
      [1, '"x"'],
      [1, "null"],
    ]);
  });

  test("passes an element that is too long by", async () => {
    const long = JSON.stringify("x".repeat(MAX));
    assert.deepEqual(await read(`[1,${long},2]`), [
      [1, "1"],
      [1, undefined],
      [1, "2"],
    ]);
  });

  for (const text of ["[", "[1", "[1,", "[1,]", "[,1]", "[1]2", "[1]]", "[1}", "[1 ,, 2]", '["', '[{"a":1]', "[1}]"]) {
    test(`${text} is refused`, async () => {
      await assert.rejects(read(text), (error) => isTidemarkError(error, "INPUT_INVALID") && /^INPUT_INVALID: Line 1 /.test(error.message));
    });
  }
});

const values = fc.array(
  fc.jsonValue({ maxDepth: 3 }).filter((value) => JSON.stringify(value).length <= MAX),
  { maxLength: 12 },
);
const cuts = fc.array(fc.nat(400), { maxLength: 12 });

test("any values are found in an array however it is written, wherever it is cut", async () => {
  await fc.assert(
    fc.asyncProperty(values, cuts, fc.constantFrom(undefined, 1, 2), async (list, at, indent) => {
      const found = await read(JSON.stringify(list, null, indent), at);
      for (const [i, [, text]] of found.entries()) {
        if (text !== undefined) assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(list[i])));
        else assert.ok(indent !== undefined, "as written without blanks each is short enough");
      }
      assert.equal(found.length, list.length);
    }),
  );
});

test("any values are found on lines, wherever the input is cut", async () => {
  await fc.assert(
    fc.asyncProperty(values, cuts, async (list, at) => {
      // An array on the first line is an array of events.
      const lines = ["{}", ...list.map((value) => JSON.stringify(value))];
      const found = await read(lines.join("\n"), at);
      assert.deepEqual(
        found,
        lines.map((line, i) => [i + 1, Buffer.byteLength(line) > MAX ? undefined : line]),
      );
    }),
  );
});

test("any bytes are cut or refused, never anything else", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), cuts, async (bytes, at) => {
      const [whole, cut] = await Promise.all([
        read(bytes).catch((error: unknown) => error),
        read(bytes, at).catch((error: unknown) => error),
      ]);
      if (whole instanceof Error) {
        assert.ok(isTidemarkError(whole, "INPUT_INVALID"));
        assert.ok(cut instanceof Error);
      } else assert.deepEqual(cut, whole);
    }),
  );
});
