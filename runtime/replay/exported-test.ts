/**
 * One key's history as a test that runs: what the key was given, step by step in the test kit, and what it published for
 * that. A text, made of plain records alone; nothing is read or folded here.
 *
 * The clocks stand in it where they stood, whoever's entries moved them. What a handler made of its position, random
 * numbers and ids, is another in a test: a history of such a handler is exported, and its test says where it differs.
 */
import type { Outcome } from "../../actors/fold/result-entry.ts";
import { TidemarkError } from "../errors.ts";

/** What a key was given, in order. Instants are RFC 3339. */
export type GivenStep = { readonly position: string } & (
  | { readonly kind: "clock"; readonly processingTime: string }
  | { readonly kind: "watermark"; readonly watermark: string }
  /** A CloudEvent. */
  | { readonly kind: "event"; readonly event: unknown }
  | {
      readonly kind: "reference";
      readonly table: string;
      readonly id: string;
      readonly version: number;
      readonly effectiveFrom: string;
      readonly data: unknown;
    }
  | {
      readonly kind: "result";
      readonly actor: string;
      /** Which of the actor's waiting calls it answers, counted from 0. */
      readonly waiting: number;
      readonly outcome: Outcome;
    }
  /** The journal entry with which a dead letter was put back. */
  | { readonly kind: "redrive"; readonly entry: unknown }
);

/** A CloudEvent as published; of it the test compares type, time and data. */
export interface PublishedOutput {
  readonly type: string;
  readonly time: string;
  readonly data: unknown;
}

export interface ExportedHistory {
  readonly job: string;
  readonly log: string;
  readonly key: string;
  readonly steps: readonly GivenStep[];
  /** Of the key, in order; side outputs are left out: they tell positions. */
  readonly outputs: readonly PublishedOutput[];
  /** As the test imports the app: `./app.ts`. */
  readonly app: string;
}

/** Beyond it a test is no longer something to read; a shorter range is. */
const STEPS_MAX = 10_000;
const SIDE_OUTPUT = "tidemark.";

/** The text of a module for `node --test`. Throws TEST_INPUT when there is nothing to test, or too much. */
export function exportedTest({ job, log, key, steps, outputs, app }: ExportedHistory): string {
  const first = steps.find((step) => step.kind === "clock");
  const refuse = (why: string): TidemarkError => new TidemarkError("TEST_INPUT", `The history of "${key}" in ${job} ${why}.`);
  if (first?.kind !== "clock") throw refuse("has no step that a test could begin with");
  if (steps.length > STEPS_MAX) throw refuse(`has ${steps.length} steps, a test takes ${STEPS_MAX}`);
  const published = outputs.filter(({ type }) => !type.startsWith(SIDE_OUTPUT)).map(({ type, time, data }) => ({ type, time, data }));
  let redrives = 0;
  const lines = steps.map((step) => `  ${lineOf(step, job, log, () => ++redrives)}`);
  return `/**
 * What the key ${textOf(key)} of the job ${textOf(job)} was given from ${steps[0]!.position} to ${steps.at(-1)!.position}, and what it published for that.
 * Written by Tidemark. A handler that uses random numbers, or ids of calls, makes others here.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job } from "tidemark";
import { testJob } from "tidemark/testing";
import app from ${textOf(app)};

const key = ${textOf(key)};
const job = ([app].flat() as Job[]).find(({ name }) => name === ${textOf(job)})!;

test(${textOf(`${key} of ${job} publishes what it published`)}, async () => {
  // The watermark stands where it stood: the steps put it there, and nothing else does.
  const kit = await testJob({ ...job, settings: { ...job.settings, idle: "hold" } }, { start: ${textOf(first.processingTime)}, onFailure: "dead-letter" });
  const waiting = (actor: string, n: number) => kit.calls().filter((call) => call.actor === actor && call.key === key)[n] as never;
  const table = (name: string) => (name.startsWith("_") ? name : job.tables.get(name)) as never;
${lines.join("\n")}
  const published = kit.outputs().filter(({ type }) => !type.startsWith(${textOf(SIDE_OUTPUT)}));
  assert.deepEqual(
    published.map(({ type, time, data }) => ({ type, time: new Date(time).toISOString(), data })),
    [
${published.map((output) => `      ${JSON.stringify(output)},\n`).join("")}    ],
  );
  await kit.close();
  // Unused where the history has no calls or no records.
  void [waiting, table];
});
`;
}

function lineOf(step: GivenStep, job: string, log: string, redrive: () => number): string {
  switch (step.kind) {
    case "clock":
      return `await kit.advanceClockTo(${textOf(step.processingTime)}, { atOnce: true });`;
    case "watermark":
      return `await kit.advanceWatermark(${textOf(step.watermark)});`;
    case "event":
      return `await kit.sendRaw(${JSON.stringify(step.event)}, { key });`;
    case "reference": {
      const { table, id, version, effectiveFrom, data } = step;
      return `await kit.putReference(table(${textOf(table)}), ${textOf(id)}, ${JSON.stringify({ version, effectiveFrom, data })} as never);`;
    }
    case "result": {
      const call = `waiting(${textOf(step.actor)}, ${step.waiting})`;
      const note = step.outcome.inference === undefined ? "" : `, ${JSON.stringify(step.outcome.inference)}`;
      if ("failed" in step.outcome) return `await kit.fail(${call}, ${JSON.stringify(step.outcome.failed)}${note});`;
      return `await kit.reply(${call}, ${JSON.stringify(step.outcome.output)} as never${note});`;
    }
    case "redrive": {
      // Of an output that this test has not: an id that none of its own has.
      const entry = { ...(step.entry as object), deadLetter: `${job}.0.${1_000_000 + redrive()}` };
      return `await kit.sendRaw(${JSON.stringify(entry)}, { subject: ${textOf(`${log}.p0.j.${job}`)} });`;
    }
  }
}

function textOf(text: string): string {
  return JSON.stringify(text);
}
