import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { checkHandOver, cutOffHandOver } from "../../runtime/node/hand-over-plan.ts";
import { identityFor } from "../support/entries.ts";
import { scriptedJob } from "../support/scripted.ts";

const build = (version: number, code = `build ${version}`): CodeIdentity => ({ ...identityFor(scriptedJob()), version, codeHash: code });
const [A, B, C] = [build(1), build(2), build(3)];

suite("what an old build finishes when it is started again", () => {
  const CASES: Readonly<Record<string, readonly [readonly (readonly CodeIdentity[])[], CodeIdentity, CodeIdentity | undefined]>> = {
    "nothing, when it alone is named": [[[A], [A]], A, undefined],
    "nothing, when there is no epoch yet": [[[], []], A, undefined],
    "nothing, in a job without partitions": [[], A, undefined],
    "the hand-over that some partitions name": [[[A, B], [A]], A, B],
    "the one that all name: what lies before it may not be folded": [
      [
        [A, B],
        [A, B],
      ],
      A,
      B,
    ],
    "the one that goes back to an earlier build": [
      [
        [A, B, A],
        [A, B],
      ],
      B,
      A,
    ],
    "nothing, when it is the successor and comes too early": [[[A, B], [A]], B, undefined],
    "nothing, when some partitions have come back to it already": [
      [
        [A, B, A],
        [A, B],
      ],
      A,
      undefined,
    ],
    "nothing, when two builds are named": [
      [
        [A, B],
        [A, C],
      ],
      A,
      undefined,
    ],
    "nothing, when the histories before differ": [
      [
        [C, A, B],
        [B, A],
      ],
      A,
      undefined,
    ],
    "its successor, where a partition was trimmed": [[[C, A, B], [A]], A, B],
    "its successor, where a partition that has the entry was trimmed": [
      [
        [A, B],
        [C, A],
      ],
      A,
      B,
    ],
    "its successor, where all but the entry itself was trimmed away": [[[B], [C, A], [C, A, B]], A, B],
    "its successor, where a trim has written an epoch again": [
      [
        [C, A, A, B],
        [C, A],
      ],
      A,
      B,
    ],
    "nothing, when no partition says what the entry followed": [[[B], [A]], A, undefined],
    "nothing, when a partition has no epoch": [[[A, B], []], A, undefined],
    "nothing, when it ran long ago": [
      [
        [A, B, C],
        [A, B, C],
      ],
      A,
      undefined,
    ],
  };
  for (const [what, [lists, own, next]] of Object.entries(CASES)) {
    test(what, () => assert.deepEqual(cutOffHandOver(lists, own), next));
  }
});

suite("a hand-over that is asked for", () => {
  const codeOf = (lists: readonly (readonly CodeIdentity[])[], next: CodeIdentity): string | undefined => {
    try {
      checkHandOver("orders", lists, A, next);
      return undefined;
    } catch (error) {
      if (!isTidemarkError(error)) throw error;
      return error.code;
    }
  };

  test("may begin, go on and be asked again", () => {
    for (const lists of [
      [[A], [A]],
      [[A, B], [A]],
      [
        [A, B],
        [A, B],
      ],
      [[], [A]],
    ])
      assert.equal(codeOf(lists, B), undefined);
  });

  test("is refused when one partition names a third build", () => assert.equal(codeOf([[A], [A, C]], B), "CODE_UNAVAILABLE"));

  test("is refused when the code changed and the version did not, and not when only the settings did", () => {
    assert.equal(codeOf([[A]], build(1, "other")), "CODE_VERSION_UNCHANGED");
    assert.equal(codeOf([[A]], { ...A, settings: { ...A.settings, maxAheadMs: 1 } }), undefined);
  });
});
