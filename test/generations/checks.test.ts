import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { STATE_FORMAT } from "../../actors/fold/meta.ts";
import type { ErrorCode } from "../../runtime/errors.ts";
import { checkLog, checkOrigin, checkOutputs, makersOf, type RestoredShard } from "../../runtime/generations/restore-checks.ts";

const SNAPSHOT: RestoredShard = {
  id: "s1",
  job: "risk",
  log: "risk",
  shard: 1,
  partitions: 2,
  cursor: { sequence: 101, index: 0, phase: "start" },
  last: { sequence: 100, index: 3 },
  outputs: 40,
  stateFormat: STATE_FORMAT,
  epoch: { sequence: 5, version: 2, codeHash: "abc" },
  epochRoot: 5,
};
const JOB = { name: "risk", log: "risk", partitions: 2, identity: { version: 2, codeHash: "abc" } };
const LOG = { firstSequence: 1, lastSequence: 100, epochRoot: 5 };

/** Changes of what is well, and the code with which they are refused. */
const OF_ORIGIN: Readonly<Record<string, readonly [Partial<RestoredShard>, ErrorCode]>> = {
  "of another job": [{ job: "other" }, "SNAPSHOT_FOREIGN"],
  "of another log": [{ log: "other" }, "SNAPSHOT_FOREIGN"],
  "of a log with other partitions": [{ partitions: 4 }, "SNAPSHOT_FOREIGN"],
  "with state of a newer format": [{ stateFormat: STATE_FORMAT + 1 }, "SNAPSHOT_FORMAT"],
  "with state of an older format": [{ stateFormat: STATE_FORMAT - 1 }, "SNAPSHOT_FORMAT"],
  "of another version": [{ epoch: { sequence: 5, version: 1, codeHash: "abc" } }, "CODE_UNAVAILABLE"],
  "of other code with the same version": [{ epoch: { sequence: 5, version: 2, codeHash: "def" } }, "CODE_UNAVAILABLE"],
};
const OF_LOG: Readonly<Record<string, readonly [Partial<typeof LOG>, ErrorCode]>> = {
  "of a history that was begun anew": [{ epochRoot: 7 }, "SNAPSHOT_FOREIGN"],
  "ahead of the log": [{ lastSequence: 99 }, "LOG_TRUNCATED"],
  "behind what was trimmed": [{ firstSequence: 102 }, "LOG_TRIMMED"],
};

suite("a snapshot to restore", () => {
  test("is taken when it is the job's own and neither ahead nor behind", () => {
    checkOrigin(SNAPSHOT, JOB);
    checkLog(SNAPSHOT, LOG);
    checkLog(SNAPSHOT, { ...LOG, firstSequence: 101 });
    checkOutputs(SNAPSHOT, "risk-out-1", 40);
  });

  for (const [name, [change, code]] of Object.entries(OF_ORIGIN)) {
    test(`is refused when it is ${name}`, () => assert.throws(() => checkOrigin({ ...SNAPSHOT, ...change }, JOB), { code }));
  }

  for (const [name, [change, code]] of Object.entries(OF_LOG)) {
    test(`is refused when it is ${name}`, () => assert.throws(() => checkLog(SNAPSHOT, { ...LOG, ...change }), { code }));
  }

  test("may begin a generation of the build before it and of its own where it stands exactly behind an epoch entry", () => {
    const old = { sequence: 5, version: 1, codeHash: "aaa" };
    const own = { sequence: 100, version: 2, codeHash: "abc" };
    const of = (version: number, codeHash: string) => ({ ...JOB, identity: { version, codeHash } });
    const at = (sequence: number): RestoredShard => ({ ...SNAPSHOT, epoch: own, cursor: { ...SNAPSHOT.cursor, sequence } });
    const behind = at(101);
    for (const job of [of(1, "aaa"), of(2, "abc")]) checkOrigin(behind, job, makersOf(behind, [old, own]));
    assert.throws(() => checkOrigin(behind, of(3, "def"), makersOf(behind, [old, own])), { code: "CODE_UNAVAILABLE" });
    const further = at(102);
    checkOrigin(further, of(2, "abc"), makersOf(further, [old, own]));
    assert.throws(() => checkOrigin(further, of(1, "aaa"), makersOf(further, [old, own])), { code: "CODE_UNAVAILABLE" });
    // Put back, it goes on under its own epoch alone.
    assert.throws(() => checkOrigin(behind, of(1, "aaa")), { code: "CODE_UNAVAILABLE" });
  });

  test("is refused when it is ahead of the outputs", () => {
    assert.throws(() => checkOutputs(SNAPSHOT, "risk-out-1", 39), { code: "OUTPUTS_TRUNCATED", message: /counts 40 outputs.* ends at 39/ });
  });
});
