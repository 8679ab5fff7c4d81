import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { skipName } from "../../actors/fold/fold-options.ts";
import { timerRow } from "../../actors/fold/keys.ts";
import type { Cursor } from "../../actors/fold/meta.ts";
import { FileCrashMarks } from "../../runtime/shard/crash-marks.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-marks-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

const at = (sequence: number): Cursor => ({ sequence, index: 0, phase: "start" });

/** A shard that dies: it begins a step, announces units when it must, and then is no more. */
function dieIn(path: string, units: readonly string[], from = 10, to = 20): FileCrashMarks {
  const marks = new FileCrashMarks(path);
  marks.begin(at(from), to);
  if (marks.stepping) for (const unit of units) marks.unit(unit, 3);
  return marks;
}

const freshPath = () => join(folder, `mark-${files++}`);

suite("crash marks", () => {
  test("without a death convict nobody and do not step", () => {
    const marks = new FileCrashMarks(freshPath());
    marks.begin(at(1), 5);
    assert.deepEqual([marks.stepping, marks.conviction], [false, undefined]);
  });

  test("step after two deaths in one range, and convict the unit of two more", () => {
    const path = freshPath();
    assert.equal(dieIn(path, ["a", "b"]).stepping, false);
    assert.equal(dieIn(path, ["a", "b"]).stepping, false);
    for (let death = 0; death < 2; death++) {
      const marks = dieIn(path, ["a", "b"]);
      assert.deepEqual([marks.stepping, marks.conviction], [true, undefined]);
    }
    assert.deepEqual(new FileCrashMarks(path).conviction, { unit: "b", outputs: 3 });
  });

  test("are not forgotten by one that opens them and does not begin, as a build whose turn has not come", () => {
    const path = freshPath();
    for (let death = 0; death < 4; death++) {
      const marks = dieIn(path, ["a", "b"]);
      assert.equal(marks.stepping, death >= 2);
      // Whoever finds a conviction appends the skip, whatever its build.
      for (let refused = 0; refused < 2 && death < 3; refused++) new FileCrashMarks(path).close();
    }
    const marks = new FileCrashMarks(path);
    assert.deepEqual(marks.conviction, { unit: "b", outputs: 3 });
  });

  test("convict nobody when each death is in another unit", () => {
    const path = freshPath();
    dieIn(path, []);
    dieIn(path, []);
    for (let i = 0; i < 10; i++) assert.equal(dieIn(path, [`unit ${i}`]).conviction, undefined);
  });

  test("convict nobody when it dies between two steps", () => {
    const path = freshPath();
    for (let i = 0; i < 8; i++) {
      const marks = dieIn(path, ["a"]);
      marks.end();
      assert.equal(marks.conviction, undefined);
    }
  });

  test("do not count a death before the first step", () => {
    const path = freshPath();
    dieIn(path, []);
    for (let i = 0; i < 5; i++) new FileCrashMarks(path);
    assert.equal(dieIn(path, []).stepping, false);
    assert.equal(dieIn(path, []).stepping, true);
  });

  test("forget the deaths of a range that was passed", () => {
    const path = freshPath();
    dieIn(path, []);
    dieIn(path, []);
    const marks = dieIn(path, ["a"]);
    assert.equal(marks.stepping, true);
    marks.end();
    marks.begin(at(1_000_000), 1_000_001);
    assert.equal(marks.stepping, false);
    assert.equal(dieIn(path, [], 1_000_002, 1_000_003).stepping, false);
  });

  test("begin anew after a conviction, and after a clean end", () => {
    const path = freshPath();
    for (let death = 0; death < 4; death++) dieIn(path, ["a"]);
    assert(new FileCrashMarks(path).conviction !== undefined);
    const marks = dieIn(path, ["a"]);
    assert.deepEqual([marks.conviction, marks.stepping], [undefined, false]);
    marks.close();
    assert.equal(readFileSync(path, "utf8").trim(), "");
    assert.equal(dieIn(path, []).stepping, false);
  });

  test("survive a file that the death itself has torn", () => {
    for (const torn of ["", "{", '{"fromSequence":1', "\0".repeat(2_048), "[]", "null", "7"]) {
      const path = freshPath();
      writeFileSync(path, torn);
      const marks = new FileCrashMarks(path);
      marks.begin(at(1), 2);
      assert.deepEqual([marks.conviction, marks.stepping], [undefined, false], torn);
    }
  });

  test("hold the longest name that a unit can have", () => {
    const path = freshPath();
    const row = timerRow({
      clock: "processing",
      time: 253_402_300_799_999,
      token: "%00".repeat(85),
      actor: "a".repeat(31),
      name: "n".repeat(63),
      id: "%FF".repeat(85),
    });
    const unit = skipName("9999:9007199254740991.9999", row);
    for (let death = 0; death < 4; death++) dieIn(path, [unit]);
    assert.deepEqual(new FileCrashMarks(path).conviction, { unit, outputs: 3 });
  });

  test("are one small write for many steps, so that nobody pays for what hardly happens", () => {
    const path = freshPath();
    const marks = new FileCrashMarks(path);
    marks.begin(at(1), 100);
    const written = statSync(path, { bigint: true }).mtimeNs;
    for (let from = 2; from < 3_000; from += 100) {
      marks.begin(at(from), from + 100);
      marks.end();
    }
    assert.equal(statSync(path, { bigint: true }).mtimeNs, written);
  });
});
