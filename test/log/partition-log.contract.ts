/** What every partition log does, whoever holds it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isTidemarkError } from "../../runtime/errors.ts";
import type { PartitionLog } from "../../runtime/log/partition-log.ts";
import { failureOf, readEntries } from "./log-setup.ts";

export interface ContractLog {
  readonly log: PartitionLog;
  /** Subjects under it are taken; `foreign` is not. */
  readonly subject: string;
  readonly foreign: string;
  trim(sequence: number): Promise<void>;
}

const bytes = (text: string) => Buffer.from(text);
const text = (payload: Uint8Array) => Buffer.from(payload).toString();

export function partitionLogContract(name: string, open: (maxBytes?: number) => Promise<ContractLog>): void {
  test(`${name}: an empty log begins at 1 and ends at 0`, async () => {
    const { log } = await open();
    assert.deepEqual(await log.bounds(), { firstSequence: 1, lastSequence: 0 });
  });

  test(`${name}: what is appended is read back in order, with subject, headers in lower case, payload and log time`, async () => {
    const { log, subject } = await open();
    const headers = new Map([["Content-Type", "application/json"]]);
    assert.equal(await log.append(`${subject}.a`, bytes("one"), { headers }), 1);
    assert.equal(await log.append(`${subject}.b`, bytes("")), 2);
    const reader = log.read(1);
    const [first, second] = await readEntries(reader, 2);
    await reader.close();
    assert.deepEqual([first!.sequence, first!.subject, text(first!.payload)], [1, `${subject}.a`, "one"]);
    assert.deepEqual(first!.headers, new Map([["content-type", "application/json"]]));
    assert.deepEqual([second!.sequence, second!.subject, second!.payload.length, second!.headers], [2, `${subject}.b`, 0, undefined]);
    assert.ok(Number.isInteger(first!.logTime));
  });

  test(`${name}: a reader gets what is appended later, from the sequence it asked for`, async () => {
    const { log, subject } = await open();
    for (const part of ["1", "2"]) await log.append(subject, bytes(part));
    const reader = log.read(3);
    assert.deepEqual(reader.take(10), []);
    await log.append(subject, bytes("3"));
    const [entry] = await readEntries(reader, 1);
    assert.deepEqual([entry!.sequence, text(entry!.payload)], [3, "3"]);
    assert.equal(reader.backlog(), 0);
    await reader.close();
    assert.deepEqual(reader.take(10), []);
  });

  test(`${name}: the backlog counts what was not taken`, async () => {
    const { log, subject } = await open();
    for (let i = 0; i < 10; i++) await log.append(subject, bytes(String(i)));
    const reader = log.read(1);
    await readEntries(reader, 4, 4);
    assert.equal(reader.backlog(), 6);
    await reader.close();
  });

  test(`${name}: waiting for entries ends after the time that was given`, async () => {
    const { log } = await open();
    const reader = log.read(1);
    await reader.readable(20);
    assert.deepEqual(reader.take(1), []);
    await reader.close();
  });

  test(`${name}: first and last message of a subject, and none`, async () => {
    const { log, subject } = await open();
    for (const part of ["a", "b", "a", "b"]) await log.append(`${subject}.${part}`, bytes(part));
    assert.equal((await log.firstOn(`${subject}.b`, 1))?.sequence, 2);
    assert.equal((await log.firstOn(`${subject}.b`, 3))?.sequence, 4);
    assert.equal(await log.firstOn(`${subject}.a`, 4), undefined);
    assert.deepEqual((await log.lastOn(`${subject}.a`))?.payload, new Uint8Array(bytes("a")));
    assert.equal((await log.lastOn(`${subject}.a`))?.sequence, 3);
    assert.equal(await log.lastOn(`${subject}.c`), undefined);
  });

  test(`${name}: an append that expects another last sequence of its subject is refused and not stored`, async () => {
    const { log, subject } = await open();
    assert.equal(await log.append(subject, bytes("1"), { expectedLastSubjectSequence: 0 }), 1);
    await assert.rejects(log.append(subject, bytes("x"), { expectedLastSubjectSequence: 0 }), (e) => isTidemarkError(e, "LOG_CONFLICT"));
    assert.equal(await log.append(subject, bytes("2"), { expectedLastSubjectSequence: 1 }), 2);
    assert.equal((await log.bounds()).lastSequence, 2);
  });

  test(`${name}: a subject that nobody takes is LOG_MISSING`, async () => {
    const { log, foreign } = await open();
    await assert.rejects(log.append(foreign, bytes("x")), (e) => isTidemarkError(e, "LOG_MISSING"));
  });

  test(`${name}: a message over 1 MiB, headers included, is EVENT_TOO_LARGE`, async () => {
    const { log, subject } = await open();
    const headers = new Map([["a", "b"]]);
    const limit = new Uint8Array(1024 * 1024);
    assert.equal(await log.append(subject, limit), 1);
    await assert.rejects(log.append(subject, limit, { headers }), (e) => isTidemarkError(e, "EVENT_TOO_LARGE"));
  });

  test(`${name}: a log at its bound refuses with LOG_FULL and is still read`, async () => {
    const { log, subject } = await open(10_000);
    const part = new Uint8Array(4_000);
    await log.append(subject, part);
    await log.append(subject, part);
    await assert.rejects(log.append(subject, part), (e) => isTidemarkError(e, "LOG_FULL"));
    const reader = log.read(1);
    assert.equal((await readEntries(reader, 2)).length, 2);
    await reader.close();
  });

  test(`${name}: a log trimmed past the asked sequence fails with LOG_TRIMMED, one trimmed up to it does not`, async () => {
    const { log, subject, trim } = await open();
    for (let i = 1; i <= 5; i++) await log.append(subject, bytes(String(i)));
    await trim(3);
    assert.deepEqual(await log.bounds(), { firstSequence: 4, lastSequence: 5 });
    const behind = log.read(3);
    assert.ok(isTidemarkError(await failureOf(behind), "LOG_TRIMMED"));
    await behind.close();
    const there = log.read(4);
    assert.equal((await readEntries(there, 2))[0]!.sequence, 4);
    await there.close();
  });

  test(`${name}: a log trimmed to its end keeps its numbers`, async () => {
    const { log, subject, trim } = await open();
    for (let i = 1; i <= 3; i++) await log.append(subject, bytes(String(i)));
    await trim(3);
    assert.deepEqual(await log.bounds(), { firstSequence: 4, lastSequence: 3 });
    assert.equal(await log.append(subject, bytes("4"), { expectedLastSubjectSequence: 0 }), 4);
  });
}
