/** Large results in the test kit: answered, failed at, put back and folded again as any other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { testJob } from "../../runtime/testing/testing.ts";
import { measuredJob, reportOf } from "../support/measured.ts";

for (const crash of [false, true]) {
  test(`a test answers calls with megabytes${crash ? ", with a crash between every two units" : ""}`, async () => {
    const kit = await testJob(measuredJob("http://x"), { crashBetweenEvents: crash, onFailure: "dead-letter" });
    await kit.send("placed", "ann", { chars: [300_000, 10, 3_000_000] });
    await kit.send("placed", "bob", { chars: [500_000], fails: true });
    for (const call of kit.calls()) await kit.reply(call, { report: reportOf((call.input as { readonly chars: number }).chars) });
    const chars = (): unknown[] =>
      kit.outputs().flatMap(({ type, data }) => (type === "order.measured" ? [(data as { chars: number }).chars] : []));
    assert.deepEqual(chars(), [300_000, 10, 3_000_000]);
    const letters = () => kit.outputs().filter(({ type }) => type === "tidemark.dead-letter");
    assert.equal(letters().length, 1);
    // The handler fails at it once more: it was given the whole of it.
    await kit.redrive(letters()[0] as never);
    assert.equal(letters().length, 2);
    assert(!JSON.stringify(letters()).includes(reportOf(10_000)));
    await kit.verifyReplay();
    await kit.close();
  });
}
