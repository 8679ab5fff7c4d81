/** The two versions of an actor in docs/state.md, one behind the other on one history. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Actor } from "../../actors/model/actor.ts";
import { job } from "../../actors/model/job.ts";
import { foldBuilds } from "../support/builds.ts";
import { writeDocProject } from "../support/doc-project.ts";
import { T0, TestLog } from "../support/entries.ts";

const { folderOf } = writeDocProject({ after });

test("the second version goes on with the euros of the first, in cents", async () => {
  const page = (await import(join(folderOf("docs/state.md"), "accounts.ts"))) as { readonly before: Actor; readonly now: Actor };
  const build = (actor: Actor) => job("account", { log: "account", actors: [actor], idle: "hold" });
  const paid = (id: string, currency: string, cents: number) => ({ id, type: "account.paid", time: T0, data: { currency, cents } });
  const log = new TestLog("account")
    .event(paid("1", "EUR", 1250))
    .event(paid("2", "EUR", 50))
    .event(paid("3", "SEK", 700));
  const { outputs } = foldBuilds(log, [build(page.before), build(page.now)]);
  assert.deepEqual(
    outputs.map(({ type, data }) => [type, data]),
    [
      ["account.balance", { currency: "EUR", cents: 1300 }],
      ["account.balance", { currency: "SEK", cents: 700 }],
    ],
  );
});
