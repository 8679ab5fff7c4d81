/** `tidemark dead-letters list|show|redrive`: events and timers whose handler failed. */
import { randomUUID } from "node:crypto";
import { type ApiClient, segment } from "../client/api-client.ts";
import { isApiProblem } from "../client/api-problem.ts";
import { command, flag, required, rest, text, usageError, whole } from "../framework/command.ts";
import { writeList } from "../terminal/list.ts";
import { failureText } from "../terminal/output-text.ts";
import { printable } from "../terminal/printable.ts";
import type { Column } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

interface DeadLetter {
  readonly id: string;
  readonly time: string;
  readonly key: string;
  readonly handler: string;
  readonly redriven?: string | null;
  readonly error: { readonly name: string; readonly message: string; readonly code: string };
}

const COLUMNS: readonly Column<DeadLetter>[] = [
  { title: "ID", of: ({ id }) => id },
  { title: "TIME", of: ({ time }) => time },
  { title: "KEY", of: ({ key }) => key },
  { title: "HANDLER", of: ({ handler }) => handler },
  { title: "REDRIVEN", of: ({ redriven }) => (redriven === undefined ? "?" : (redriven ?? "-")) },
  // Its event or timer is left to `show`: on a narrow terminal an id took the place of what went wrong.
  { title: "ERROR", of: ({ error }) => failureText(error), colour: () => "red" },
];

export const deadLettersList = command({
  name: "dead-letters list",
  summary: "Events and timers whose handler failed, oldest first in each shard",
  details: [
    "REDRIVEN says what became of one that was put back: applied, dead-lettered again, quarantined or refused; - when it was not, ? when the shard has too many audits to tell.",
  ],
  arguments: {},
  options: {
    job: text("J", "only of this job"),
    key: text("K", "only of this key"),
    handler: text("H", "only of this handler, <actor>.<handler>"),
    open: flag("only those that were not put back yet"),
    limit: whole("N", "at most so many; all when not given", { min: 1, max: 1_000_000_000 }),
  },
  examples: [{ line: "tidemark dead-letters list --job meter --open", says: "What is to be done about one job" }],
  async run({ options: { job, key, handler, open, limit }, api, terminal }) {
    const query = { job, key, handler, ...(open ? { open: "true" } : {}) };
    return await writeList(terminal, api().pages("/v1/dead-letters", query, limit), COLUMNS);
  },
});

export const deadLettersShow = command({
  name: "dead-letters show",
  summary: "One dead letter, with the event as the log has it",
  arguments: { id: required("id of the dead letter, like meter.0.7") },
  options: {},
  examples: [{ line: "tidemark dead-letters show meter.0.7", says: "What failed, where, on which event" }],
  async run({ args, api, terminal }) {
    const body = await api().get(`/v1/dead-letters/${segment(args.id)}`);
    if (terminal.json) await terminal.record(body);
    else for (const line of JSON.stringify(body, null, 2).split("\n")) await terminal.line(printable(line));
    return 0;
  },
});

export const deadLettersRedrive = command({
  name: "dead-letters redrive",
  summary: "Puts dead letters back through the log, for the code that runs now",
  details: [
    "Each is handled once more by the handler that failed, exempt from dedupe and lateness. One whose event was trimmed from the log is refused. It goes on behind one that was refused, and then ends with 1.",
    "A dead letter is redriven once: one that fails again makes a new one. With --all those that were redriven before are left out, so that the same command can be given again; one that is named is refused.",
    "What became of each is an output: `tidemark outputs --type tidemark.audit`.",
  ],
  arguments: { ids: rest("ids of dead letters") },
  options: {
    all: flag("all dead letters of the job that were not redriven yet, with --job"),
    job: text("J", "with --all: the job"),
    reason: text("TEXT", "why, for the record"),
  },
  examples: [
    { line: "tidemark dead-letters redrive meter.0.7 meter.1.3", says: "Two of them" },
    { line: 'tidemark dead-letters redrive --all --job meter --reason "fixed in version 3"', says: "All of a job" },
  ],
  async run({ args: { ids }, options: { all, job, reason }, api, terminal }) {
    if (all && (job === undefined || ids.length > 0)) throw usageError("dead-letters redrive: --all takes --job, and no ids beside it.");
    if (!all && (ids.length === 0 || job !== undefined)) throw usageError("dead-letters redrive: write the ids, or --all --job and a job.");
    const client = api();
    let redriven = 0;
    let refused = 0;
    for (const id of all ? await idsOf(client, job!) : ids) {
      const outcome = await redriveOne(client, terminal, id, reason);
      if (outcome === "before" && all) continue;
      if (outcome === "before") terminal.notice(printable(`${id} was redriven before; if it failed again, it has a new dead letter`));
      if (outcome === "redriven") redriven++;
      else refused++;
    }
    if (!terminal.json) {
      await terminal.line(`${redriven} redriven${refused > 0 ? `, ${refused} refused` : ""}`);
      if (redriven > 0) terminal.notice("what becomes of each: tidemark outputs --type tidemark.audit");
    }
    return refused === 0 ? 0 : 1;
  },
});

/** What fails again is a new dead letter behind those that are there: they are read to the end first, or it would never come. */
async function idsOf(api: ApiClient, job: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const page of api.pages("/v1/dead-letters", { job }, ALL_MAX))
    ids.push(...(page as readonly DeadLetter[]).map(({ id }) => id));
  return ids;
}

async function wasRedriven(api: ApiClient, id: string): Promise<boolean> {
  const { redrives } = (await api.get(`/v1/dead-letters/${segment(id)}`)) as { readonly redrives: readonly unknown[] | null };
  return (redrives ?? []).length > 0;
}

/** Of one call; the next call goes on with the rest. */
const ALL_MAX = 100_000;

async function redriveOne(
  api: ApiClient,
  terminal: Terminal,
  id: string,
  reason: string | undefined,
): Promise<"redriven" | "before" | "refused"> {
  try {
    // The job would refuse it, but only the log would say so.
    if (await wasRedriven(api, id)) return "before";
    const { body } = await api.ask("POST", `/v1/dead-letters/${segment(id)}/redrive`, {
      body: reason === undefined ? {} : { reason },
      headers: { "idempotency-key": randomUUID() },
    });
    const { position } = body as { readonly position?: unknown };
    if (terminal.json) await terminal.record(body);
    else await terminal.line(`${printable(id)}  redriven at ${printable(String(position))}`);
    return "redriven";
  } catch (error) {
    if (!isApiProblem(error) || error.status < 400 || error.status >= 500 || error.status === 401 || error.status === 403) throw error;
    terminal.notice(printable(`${id}: ${error.message}`));
    return "refused";
  }
}
