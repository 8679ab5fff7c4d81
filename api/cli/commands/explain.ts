/** `tidemark explain <output-id>`: why an output is what it is. */
import type { Explanation } from "../../../runtime/history/explanation.ts";
import { segment } from "../client/api-client.ts";
import { pastAnswer } from "../client/past-answer.ts";
import { command, required } from "../framework/command.ts";
import { printable } from "../terminal/printable.ts";
import { Table } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

interface Explained extends Explanation {
  readonly output: { readonly id: string; readonly type: string; readonly subject?: string; readonly data: unknown };
  readonly position: string;
  readonly job: string;
  readonly version: number;
  readonly chain: string;
}

export const explain = command({
  name: "explain",
  summary: "Why an output is what it is: its cause, what its key had been given, state before and after",
  details: [
    "The inputs are what the output's key was given up to there, as steps: replayed alone in the test kit they give the output again. The log is folded for it; where that takes long, a bar shows how far it is.",
  ],
  arguments: { id: required("an output's id, like meter.0.17") },
  options: {},
  examples: [
    { line: "tidemark explain meter.0.17", says: "Cause, inputs and state" },
    { line: "tidemark explain meter.0.17 --json | jq .inputs", says: "The inputs alone" },
  ],
  async run({ args, api, terminal }) {
    const body = (await pastAnswer(api(), terminal, `/v1/outputs/${segment(args.id)}/explain`)) as Explained;
    if (terminal.json) await terminal.record(body);
    else await show(terminal, body);
    return 0;
  },
});

async function show(terminal: Terminal, told: Explained): Promise<void> {
  const { output, position, job, version, chain, epoch, handler, cause, inputs, state, references, calls } = told;
  const line = (name: string, text: string): Promise<void> => terminal.line(`${terminal.paint("bold", name)}  ${printable(text)}`);
  await line(output.id, `${output.type}${output.subject === undefined ? "" : ` of ${output.subject}`} at ${position}`);
  await line("data", JSON.stringify(output.data));
  await line("by", `${handler ?? "no handler"} of ${job} version ${version}, code ${epoch.codeHash.slice(0, 12)}, epoch ${epoch.sequence}`);
  await line("chain", chain);
  await line("cause", JSON.stringify(cause));
  await line("before", JSON.stringify(state?.before ?? null));
  await line("after", JSON.stringify(state?.after ?? null));
  for (const reference of references) await line("looked up", JSON.stringify(reference));
  for (const call of calls) await line("call", JSON.stringify(call));
  await terminal.line("");
  await new Table<(typeof inputs)[number]>(terminal, [
    { title: "POSITION", of: (step) => step.position },
    { title: "INPUT", of: (step) => step.kind },
    { title: "WHAT", of: whatOf },
  ]).write(inputs);
  if (!told.complete) await terminal.line("and more before them");
}

function whatOf(step: Explanation["inputs"][number]): string {
  if (step.kind === "clock") return `log time ${step.processingTime}`;
  if (step.kind === "watermark") return `watermark ${step.watermark}`;
  if (step.kind === "event") return `${step.disposition} ${JSON.stringify(step.event)}`;
  if (step.kind === "reference") return `${step.table} ${step.id} version ${step.version}`;
  if (step.kind === "result") return `${step.effect} ${JSON.stringify(step.outcome)}`;
  return `dead letter put back, ${step.handler}`;
}
