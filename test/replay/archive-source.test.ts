import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { slotOf } from "../../actors/model/key.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { readArchiveLine, writeArchiveLine } from "../../runtime/replay/archive-line.ts";
import { type ArchiveOptions, ArchiveSource } from "../../runtime/replay/archive-source.ts";
import { cloudEvent, T0 } from "../support/entries.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-archive-"));
after(() => rmSync(folder, { recursive: true, force: true }));

async function readAll(text: string, options: Partial<ArchiveOptions> = {}, take = 100) {
  const file = join(folder, "archive.ndjson");
  writeFileSync(file, text);
  const malformed: string[] = [];
  const source = new ArchiveSource({
    file,
    log: "meter",
    partition: 0,
    partitions: 1,
    malformed: (line, why) => malformed.push(`${line}: ${why}`),
    ...options,
  });
  const reader = source.read(1);
  const entries: LogEntry[] = [];
  while (!reader.ended) {
    await reader.readable(1_000);
    entries.push(...reader.take(take));
  }
  await reader.close();
  assert.deepEqual(
    entries.map(({ sequence }) => sequence),
    entries.map((_, i) => i + 1),
  );
  return { entries, malformed, source };
}

const textOf = ({ payload }: LogEntry): string => Buffer.from(payload).toString();
const line = (event: Parameters<typeof cloudEvent>[0]): string => JSON.stringify(cloudEvent(event));

suite("an archive", () => {
  test("gives its events in their order, and behind them a watermark entry at the greatest event time", async () => {
    const lines = [line({ id: "1", time: T0 + 5 }), line({ id: "2", time: T0 }), line({ id: "3", time: T0 + 3 })];
    const { entries, source } = await readAll(lines.join("\n"));
    assert.deepEqual(entries.slice(0, 3).map(textOf), lines);
    assert.equal(entries[0]!.subject, `meter.${slotOf("d1")}.e.d1`);
    assert.deepEqual(
      [entries[3]!.subject, textOf(entries[3]!)],
      ["meter.p0.j._log", `{"kind":"watermark","time":"${new Date(T0 + 5).toISOString()}"}`],
    );
    assert.equal(source.bytesRead, source.bytes);
  });

  test("has the log times that its lines name, else the event's own, which never fall; what named them is no part of the event", async () => {
    const event = line({ id: "1" });
    const lines = [
      line({ id: "0", time: T0 }),
      line({ id: "0b", time: T0 - 5 }),
      writeArchiveLine(event, new Date(T0 - 9_000).toISOString()),
    ];
    const { entries } = await readAll(`${lines.join("\r\n")}\n\n`);
    assert.deepEqual(
      entries.slice(0, 3).map(({ logTime }) => logTime - T0),
      [0, 0, -9_000],
    );
    assert.equal(textOf(entries[2]!), event);
  });

  test("names each line that is no event with a key, and leaves it out", async () => {
    const bad = [
      "{ not json",
      "[1]",
      '{"id":"x"}',
      `{"subject":"${"k".repeat(300)}"}`,
      `{"subject":"d1","logtime":"soon"}`,
      `"${"x".repeat(1024 * 1024)}"`,
    ];
    const { entries, malformed } = await readAll([line({ id: "1" }), ...bad, line({ id: "2" })].join("\n"));
    assert.equal(entries.length, 3);
    assert.deepEqual(
      malformed.map((text) => text.slice(0, 22)),
      [
        "2: it is no JSON",
        "3: it is no CloudEvent",
        "4: it has no subject, ",
        "5: its subject is no k",
        "6: its logtime is no i",
        "7: it is longer than 1",
      ],
    );
  });

  test("gives each partition the keys that are its own, and all of them the same watermark", async () => {
    const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
    const text = keys.map((key, i) => line({ id: key, key, time: T0 + i })).join("\n");
    const seen: string[] = [];
    for (let partition = 0; partition < 3; partition++) {
      const { entries } = await readAll(text, { partition, partitions: 3 });
      assert.match(textOf(entries.pop()!), new RegExp(new Date(T0 + 39).toISOString()));
      const own = entries.map((entry) => (JSON.parse(textOf(entry)) as { subject: string }).subject);
      assert.deepEqual(
        own,
        keys.filter((key) => slotOf(key) % 3 === partition),
      );
      seen.push(...own);
    }
    assert.equal(seen.length, keys.length);
  });

  test("is read through its whole length with little of it in memory, and as well in small pieces", async () => {
    const count = 30_000;
    const text = Array.from({ length: count }, (_, i) => line({ id: `${i}`, key: `k${i % 50}`, data: "x".repeat(i % 300) })).join("\n");
    const { entries } = await readAll(text, { watermark: T0 + 7 }, 7);
    assert.equal(entries.length, count + 1);
    assert.match(textOf(entries.at(-1)!), new RegExp(new Date(T0 + 7).toISOString()));
  });

  test("that is not there, or is a folder, is refused", () => {
    for (const file of [join(folder, "nowhere"), folder]) {
      const open = () => new ArchiveSource({ file, log: "meter", partition: 0, partitions: 1, malformed: () => {} });
      assert.throws(open, (error) => isTidemarkError(error, "INPUT_INVALID"));
    }
  });
});

test("a line that was written from an event gives its bytes back, whatever they are", () => {
  for (const text of [
    '{"subject":"a"}',
    '{"subject":"a","data":{"logtime":"x"}}',
    '{"subject":"a","data":"\\",\\"logtime\\":\\"x\\"}"}\n',
  ]) {
    const read = readArchiveLine(writeArchiveLine(text, "2026-01-01T00:00:00.001Z"));
    assert(typeof read === "object");
    assert.equal(Buffer.from(read.payload).toString(), text.trimEnd());
    assert.equal(read.logTime, Date.UTC(2026, 0, 1, 0, 0, 0, 1));
  }
});
