/**
 * The shell blocks of the pages, run as their reader runs them, against one live node that has the jobs of the pages.
 * Addresses of the pages become those of the node; what is said to be the answer has the fields of the answer.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { after, suite, test } from "node:test";
import { meterReadings } from "../../actors/meter/generate.ts";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { SAMPLES } from "../../actors/samples.ts";
import { type PublishedSample, publishSample } from "../../api/cli/samples.ts";
import { startApiNode, untilFolded } from "../support/api-node.ts";
import { jsonValues, shapeFault } from "../support/doc-answer.ts";
import { type Block, placeOf, ROOT } from "../support/doc-page.ts";
import { writeDocProject } from "../support/doc-project.ts";
import { cloudEvent } from "../support/entries.ts";
import { linearModel, linearScore } from "../support/linear-model.ts";
import { getJson, untilShards } from "../support/node-process.ts";

const PARTITIONS = 4;
/** Jobs that pages ask the node for: theirs, as their blocks have them. */
const JOBS = [
  "../README/my-app/alarms.ts",
  "../docs-reference-data/billing.ts",
  "../docs-state/spending.ts",
  "../docs-features/fares.ts",
  "../docs-inference/cards.ts",
];
/** curl's, for an answer of 400 and above. */
const CURL_HTTP_ERROR = 22;

const { folder, blocks, folderOf } = writeDocProject({ after });
const bin = join(folder, "bin");
mkdirSync(bin);
const cli = `exec "${process.execPath}" "${join(ROOT, "api/cli/tidemark.ts")}"`;
for (const [name, script] of [
  ["tidemark", `${cli} "$@"`],
  ["npx", `[ "$1" = tidemark ] || exit 127; shift; ${cli} "$@"`],
  // An answer that is an error is one for the test too; and nothing of curl's own between the answers.
  ["curl", `PATH='${process.env.PATH}'; exec curl -sS --fail-with-body --max-time 20 "$@"`],
] as const)
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });

mkdirSync(join(folder, "node"));
const jobs = JOBS.map((path, i) => `import job${i} from ${JSON.stringify(path)};\n`).join("");
const shipped = `import shipped from ${JSON.stringify(join(ROOT, "actors/shipped.ts"))};\n`;
writeFileSync(join(folder, "node/app.ts"), `${shipped}${jobs}export default [...shipped, ${JOBS.map((_, i) => `job${i}`).join(", ")}];\n`);
const { url, nats, nc } = await startApiNode(join(folder, "node/app.ts"), "meter", { TIDEMARK_PARTITIONS: String(PARTITIONS) });
const samples: PublishedSample[] = [];
for (const sample of SAMPLES) samples.push(await publishSample(nc, sample, folder, PARTITIONS));
await untilFolded(
  url,
  samples.reduce((sum, { events }) => sum + events, 0),
);
// The API shows what is committed: the actors that the pages ask for, each in its partition.
for (const [log, type, key] of [
  ["meter", "meter", "device-0001"],
  ["meter", "meter", "device-0003"],
  ["sensors", "device", "sensor-0003"],
  ["clicks", "user", "u-0029"],
  ["transactions", "customer", "customer-0001"],
] as const) {
  const partition = slotOf(writeKey(key)!) % PARTITIONS;
  const { ends } = samples.find((sample) => sample.log === log)!;
  await getJson(`${url}/v1/actors/${type}/${key}?after=${partition}:${ends[partition]}.0&wait=30`);
}
const port = new URL(url).port;

/** What pages take to be there: the readings of a day in `readings.ndjson`, and an order of ann's. */
const readings = [...meterReadings({ seed: 1, devices: 2, events: 40, start: Date.UTC(2026, 2, 6), disorder: false })];
await send("spending", "spent", { shop: "baker", cents: 350 });
await send("fares", "paid", { currency: "EUR", cents: 350 });
await untilShards(url, (shards) => {
  const ours = shards.filter(({ job }) => job === "fares").reduce((sum, { features }) => sum + (features?.written ?? 0), 0);
  return ours === 2 && shards.every(({ features }) => (features?.lag ?? 0) === 0);
});

/** What the page of inference takes to be there: its description, a model that fits it, and what goes in and comes out. */
const WEIGHTS = [0.002, 0.4];
const BIAS = -2;
for (const [name, content] of [
  ["fraud.json", blocks.find(({ page, text }) => page === "docs/inference.md" && text.includes('"x": {'))!.text],
  ["fraud.onnx", linearModel(WEIGHTS, BIAS)],
  ["rows.json", JSON.stringify({ x: [[120, 2]] })],
  ["scores.json", JSON.stringify({ y: [[linearScore(WEIGHTS, BIAS, [120, 2])]] })],
] as const)
  writeFileSync(join(folderOf("docs/inference.md"), name), content);

/** Resolves when the API shows what ann's event has done. */
async function send(job: string, event: string, data: object): Promise<void> {
  const appended = await fetch(`${url}/v1/logs/${job}/events`, {
    method: "POST",
    headers: { "content-type": "application/cloudevents+json" },
    body: JSON.stringify(cloudEvent({ id: `${job}-1`, key: "ann", type: `${job}.${event}`, data })),
  });
  const { results } = (await appended.json()) as { readonly results: readonly [{ readonly position: string }] };
  const actor = job === "fares" ? "rider" : job;
  await getJson(`${url}/v1/actors/${actor}/ann?after=${results[0].position}&wait=30`);
}

async function runBlock({ page, text }: Block): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const commands = text.replaceAll(/localhost:707[01]/g, `localhost:${port}`).replaceAll("nats://127.0.0.1:4222", nats.url);
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}`, TIDEMARK_HTTP_PORT: port, NO_COLOR: "1", CI: "" };
  return await new Promise((resolve) => {
    execFile("sh", ["-ec", commands], { cwd: folderOf(page), env, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    );
  });
}

/** The JSON that a page gives as the answer to the block: all that follow it under its heading. */
function answersTo(block: Block): Block[] {
  const behind = blocks.slice(blocks.indexOf(block) + 1);
  const end = behind.findIndex(({ page, heading, language }) => page !== block.page || heading !== block.heading || language === "sh");
  return (end === -1 ? behind : behind.slice(0, end)).filter(({ language }) => language === "json");
}

test("every script of a page is run by a command of the page", () => {
  for (const block of blocks.filter(({ language }) => language === "js")) {
    const run = blocks.some(
      ({ page, language, notRun, text }) => page === block.page && language === "sh" && notRun === undefined && text.includes(block.name!),
    );
    assert.ok(run, placeOf(block));
  }
});

const compared = new Set<Block>();

suite("commands", () => {
  for (const block of blocks.filter(({ language, notRun }) => language === "sh" && notRun === undefined)) {
    test(placeOf(block), async () => {
      writeFileSync(join(folderOf(block.page), "readings.ndjson"), readings.map(({ text }) => `${text}\n`).join(""));
      const answers = answersTo(block);
      const expected = answers.filter(({ notRun }) => notRun === undefined).flatMap(({ text }) => jsonValues(text));
      const isProblem = expected.some((value) => Number((value as { status?: unknown }).status) >= 400);
      const { code, stdout, stderr } = await runBlock(block);
      assert.equal(code, isProblem ? CURL_HTTP_ERROR : 0, `${block.text}${stdout}${stderr}`);
      if (expected.length === 0) return;
      const answered = jsonValues(stdout);
      assert.equal(answered.length, expected.length, stdout);
      expected.forEach((value, i) => {
        assert.equal(
          shapeFault(value, answered[i]),
          undefined,
          `the page has\n${JSON.stringify(value)}\nthe answer is\n${JSON.stringify(answered[i])}`,
        );
      });
      for (const answer of answers) compared.add(answer);
    });
  }
});

test("JSON that is no command's answer is JSON all the same", (t) => {
  const others = blocks.filter((block) => block.language === "json" && block.notRun === undefined && !compared.has(block));
  for (const block of others) assert.ok(jsonValues(block.text).length > 0, placeOf(block));
  t.diagnostic(`${compared.size} answers compared, ${others.length} only parsed`);
});
