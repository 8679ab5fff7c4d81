/** Models that an app brings, on a node whose app lies there with their files and without. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess } from "../support/node-process.ts";

interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

const SCORED = new URL("../support/scored.ts", import.meta.url).pathname;
const SHIPPED = new URL("../../actors/model/shipped-model.ts", import.meta.url).pathname;
const APP = `
  import { scoredJob } from ${JSON.stringify(SCORED)};
  import { shippedModel } from ${JSON.stringify(SHIPPED)};
  const fraud = shippedModel("fraud", { description: new URL("./fraud.json", import.meta.url) });
  export default { ...scoredJob(), models: [fraud] };
`;
const DESCRIPTION = {
  serving: { kind: "json", url: "http://127.0.0.1:9/score" },
  input: { type: "object", properties: { amount: { type: "number" } }, required: ["amount"] },
  output: { type: "object", properties: { score: { type: "number" } }, required: ["score"] },
};

/** Polls until it is so; the test's timeout is the bound. */
async function readiness(url: string, wanted: (answer: Readiness) => boolean): Promise<Readiness> {
  for (;;) {
    const answer = (await (await fetch(`${url}/readyz`)).json()) as Readiness;
    if (wanted(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test("a build whose model's files are gone is not ready, and once a version is in force it runs without them", {
  timeout: 180_000,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-shipping-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const nats = await startTestNats({ after: (hook) => t.after(hook) }, { logs: ["payments"] });
  const app = join(folder, "app", "app.ts");
  const description = join(folder, "app", "fraud.json");
  mkdirSync(join(folder, "app"));
  writeFileSync(app, APP);
  const start = () => {
    const node = new NodeProcess({ app, natsUrl: nats.url, dataDir: join(folder, "data") });
    t.after(() => node.kill());
    return node;
  };

  const without = start();
  const { reasons } = await readiness(await without.ready, (answer) => answer.reasons.some((reason) => reason.includes("fraud")));
  assert.match(reasons.join("\n"), /cannot be put in force: APP_INVALID: The model "fraud" cannot be read: ENOENT/);
  await without.stop();

  writeFileSync(description, JSON.stringify(DESCRIPTION));
  const complete = start();
  await readiness(await complete.ready, ({ ready }) => ready);
  await complete.stop();

  rmSync(description);
  const later = start();
  const url = await later.ready;
  await readiness(url, ({ ready }) => ready);
  assert.match(later.log, /The model "fraud" cannot be read: ENOENT.* The version that is in force stays\./);
  const detail = (await (await fetch(`${url}/v1/models/fraud`)).json()) as { readonly inForce: readonly { readonly champion: number }[] };
  assert.deepEqual(
    detail.inForce.map(({ champion }) => champion),
    [1],
  );
});
