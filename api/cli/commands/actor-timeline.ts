/** The timeline of an actor, as `tidemark actor … --timeline` shows it. */
import { type ApiClient, segment } from "../client/api-client.ts";
import { pastAnswer } from "../client/past-answer.ts";
import { printable } from "../terminal/printable.ts";
import type { Terminal } from "../terminal/terminal.ts";

interface TimelineLine {
  readonly kind: string;
  readonly position: string;
  readonly logTime: string;
  readonly id?: string;
  readonly type?: string;
  readonly name?: string;
  readonly effect?: string;
  readonly cell?: string;
  readonly handler?: string;
  readonly disposition?: string;
  readonly outputs: readonly { readonly id: string; readonly type: string }[];
  readonly calls: readonly { readonly effect: string }[];
  readonly changes?: readonly { readonly cell: string; readonly entry?: string; readonly before: unknown; readonly after: unknown }[];
}

/** Page by page, as far as the shard has come. */
export async function showTimeline(api: ApiClient, terminal: Terminal, type: string, key: string, from: string | undefined): Promise<void> {
  const path = `/v1/actors/${segment(type)}/${segment(key)}/timeline`;
  for (let next: string | null | undefined = from; next !== null; ) {
    const page = (await pastAnswer(api, terminal, path, { state: "true", from: next })) as {
      readonly items: readonly TimelineLine[];
      readonly next: string | null;
      readonly complete?: false;
    };
    if (page.complete === false) terminal.notice("the log was trimmed; what lay before is not shown.");
    for (const item of page.items) {
      if (terminal.json) await terminal.record(item);
      else await showItem(terminal, item);
    }
    next = page.next;
  }
}

async function showItem(terminal: Terminal, item: TimelineLine): Promise<void> {
  const { kind, position, logTime, disposition, outputs, calls, changes = [] } = item;
  const what = [item.type ?? item.name ?? item.effect ?? item.cell ?? item.handler, item.id, disposition].filter(
    (part) => part !== undefined && part !== "",
  );
  await terminal.line(`${terminal.paint("bold", position)}  ${logTime}  ${kind}  ${printable(what.join(" "))}`);
  for (const { cell, entry, before, after } of changes) {
    const place = entry === undefined ? cell : `${cell} ${entry}`;
    await terminal.line(`  ${printable(`${place}: ${JSON.stringify(before)} -> ${JSON.stringify(after)}`)}`);
  }
  for (const { id, type } of outputs) await terminal.line(`  output ${printable(`${id} ${type}`)}`);
  for (const { effect } of calls) await terminal.line(`  call ${printable(effect)}`);
}
