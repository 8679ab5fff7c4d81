/** CODE_UNAVAILABLE and CODE_VERSION_UNCHANGED, provoked by other builds on the state of one, and mended as their pages say. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { LEDGER_BUILDS, LedgerWorld } from "../support/ledger-world.ts";
import { wide } from "../support/wide.ts";

const CODES = { CODE_VERSION_UNCHANGED: LEDGER_BUILDS.sameVersion, CODE_UNAVAILABLE: LEDGER_BUILDS.nextVersion };

for (const [code, build] of Object.entries(CODES)) {
  suite(`${code} halts the shards before they fold anything`, { timeout: 600_000, concurrency: true }, () => {
    for (const mend of ["the build that ran", "a job of a new name"]) {
      const each = mend === "the build that ran" ? test : wide;
      each(`mended by ${mend}`, async (t) => {
        const world = await LedgerWorld.start(t);
        for (const partition of [0, 1]) await world.publish(partition, 10);
        await world.untilAllPublished();
        await world.stopNode();
        await world.startNode(build);
        for (const partition of [0, 1]) await world.publish(partition, 10);
        for (const partition of [0, 1]) assert.equal(await world.haltOf("ledger", partition), code);
        assert.match((await world.reasons()).join("\n"), new RegExp(`ledger/0.*${code}`));
        assert.equal((await world.outputTexts("ledger", 0)).length, 10);
        await world.stopNode();
        const renamed = mend === "a job of a new name";
        await world.startNode(renamed ? LEDGER_BUILDS.renamed : undefined);
        await world.publish(0, 5);
        for (const partition of [0, 1]) await world.assertOutputs(renamed ? "ledger-b" : "ledger", partition);
      });
    }
  });
}
