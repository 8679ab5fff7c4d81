/** The examples of help, which docs/cli.md shows too, against a live node: each line that is one command and ends. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { meterReadings } from "../../actors/meter/generate.ts";
import { COMMANDS } from "../../api/cli/commands.ts";
import { startApiNode } from "../support/api-node.ts";
import { runPiped } from "../support/cli-run.ts";
import { ROOT } from "../support/doc-page.ts";
import { cloudEvent } from "../support/entries.ts";
import { linearModel, linearScore } from "../support/linear-model.ts";
import { getJson } from "../support/node-process.ts";

/** What needs another program, serves, or is about something that a sound node does not have. */
const NOT_RUN: readonly [pattern: RegExp, reason: string][] = [
  [/[|<>]/, "a line of the shell"],
  [/^(TIDEMARK_\S+ )*tidemark (start|dev|node)\b/, "serves until it is stopped"],
  [/--follow/, "follows until it is stopped"],
  [/^tidemark init\b/, "test/package makes a project"],
  [/^tidemark (restore|generations (switch|drop))\b/, "test/generations has snapshots to restore and generations"],
  [/^tidemark migrate\b/, "test/cli/migrate.test.ts has state of an older build"],
  [/^tidemark (upgrade|builds)\b/, "test/builds has builds and their state"],
  [/^tidemark snapshot (show|verify)\b/, "test/snapshots/node.test.ts has snapshots whose names it knows"],
  [
    /^tidemark (explain\b|actor .*(--at|--test)\b)/,
    "test/history and test/cli/actor-test.test.ts have outputs and positions that they know",
  ],
  [/^tidemark nodes (drain|resume)\b/, "test/cluster has nodes that take the shards of others"],
  [/^tidemark mirror\b/, "test/recovery has two sites"],
  [/^tidemark replay\b/, "test/cli/replay.test.ts has logs to replay, and builds"],
  [/^tidemark dead-letters (show|redrive)/, "test/http/dead-letters.test.ts has handlers that fail"],
];

const folder = mkdtempSync(join(tmpdir(), "tidemark-examples-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const readings = [...meterReadings({ seed: 1, devices: 4, events: 40, start: Date.UTC(2026, 2, 6), disorder: false })];
writeFileSync(join(folder, "readings.ndjson"), readings.map(({ text }) => `${text}\n`).join(""));
const night = { id: "night", version: 1, effectiveFrom: "2026-01-01T00:00:00Z", data: { price: 0.2 } };
writeFileSync(join(folder, "tariffs.ndjson"), `${JSON.stringify(night)}\n`);
/** Three versions are there when the examples begin. */
const descriptions = ["march", "april", "may"].map((description) => ({
  description,
  serving: { kind: "onnx", inputs: { x: { fields: ["amount"] } }, outputs: { score: { tensor: "y", index: 0 } } },
  input: {},
  output: {},
}));
for (const [name, content] of [
  ["fraud.json", JSON.stringify({ ...descriptions[0], description: "june" })],
  ["fraud.onnx", linearModel([0.01], -1)],
  ["rows.json", JSON.stringify({ x: [[120], [7]] })],
  ["scores.json", JSON.stringify({ y: [120, 7].map((amount) => [linearScore([0.01], -1, [amount])]) })],
] as const)
  writeFileSync(join(folder, name), content);
const app = join(folder, "app.ts");
writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
writeFileSync(
  app,
  `import meter from ${JSON.stringify(join(ROOT, "actors/meter/meter.ts"))};
import billing from ${JSON.stringify(join(ROOT, "test/support/billing.ts"))};
import scored from ${JSON.stringify(join(ROOT, "test/support/scored-app.ts"))};
export default [meter, ...billing, scored];
`,
);
const { url } = await startApiNode(app, "meter");
await send("meter", "meter", cloudEvent({ key: "device-0003" }));
for (const description of descriptions) {
  const body = JSON.stringify({ description, content: Buffer.from(linearModel([0.01], -1)).toString("base64") });
  const put = await fetch(`${url}/v1/models/fraud/versions`, { method: "POST", headers: { "content-type": "application/json" }, body });
  assert.equal(put.status, 200, await put.text());
}
await send("billing", "account", cloudEvent({ key: "ann", type: "billing.usage", data: { tariff: "night", units: 3 } }));

/** Resolves when the actor shows what the event has done. */
async function send(log: string, type: string, event: ReturnType<typeof cloudEvent>): Promise<void> {
  const appended = await fetch(`${url}/v1/logs/${log}/events`, {
    method: "POST",
    headers: { "content-type": "application/cloudevents+json" },
    body: JSON.stringify(event),
  });
  const { results } = (await appended.json()) as { readonly results: readonly [{ readonly position: string }] };
  await getJson(`${url}/v1/actors/${type}/${event.subject}?after=${results[0].position}&wait=30`);
}

suite("an example of help", () => {
  const lines = COMMANDS.flatMap(({ examples }) => examples.map(({ line }) => line));
  const runnable = lines.filter((line) => !NOT_RUN.some(([pattern]) => pattern.test(line)));

  for (const line of runnable) {
    test(line, async () => {
      const words = line.split(" ").map((word) => (/\.(ndjson|ts|json|onnx)$/.test(word) ? join(folder, word) : word));
      assert.equal(words.shift(), "tidemark");
      const { code, stderr } = await runPiped([...words, "--url", url], {});
      assert.equal(code, 0, stderr);
    });
  }

  test("is not run for a reason that still holds for some", (t) => {
    for (const [pattern, reason] of NOT_RUN) {
      const of = lines.filter((line) => pattern.test(line));
      assert.ok(of.length > 0, String(pattern));
      t.diagnostic(`${of.length} not run: ${reason}`);
    }
    t.diagnostic(`${runnable.length} of ${lines.length} run`);
  });
});
