/** `tidemark ask <type> <query>`: a query of an actor type, asked of one actor or of every one. */
import { TidemarkError } from "../../../runtime/errors.ts";
import { segment } from "../client/api-client.ts";
import { command, optional, required, text, whole } from "../framework/command.ts";
import { printable } from "../terminal/printable.ts";

interface Item {
  readonly key: string;
  readonly answer?: unknown;
  readonly error?: { readonly code: string; readonly detail: string };
}

const PAGE = 1_000;

export const ask = command({
  name: "ask",
  summary: "Asks a query of an actor type: of one actor, or of every one",
  details: [
    "A query is a question about an actor's state that its type declares. Asked of every actor, those whose answer is null are left out: so a query that gives null where there is nothing to tell finds the actors that matter.",
    "Each actor answers as of the last commit of its shard. An actor that cannot answer is told of on stderr, and the command ends with 1.",
  ],
  arguments: {
    type: required("an actor type, like case"),
    query: required("a query that it declares"),
    input: optional("what the query is asked, as JSON; null when not given"),
  },
  options: {
    key: text("K", "only the actor of this key"),
    prefix: text("P", "only actors whose keys begin with P"),
    limit: whole("N", "at most so many answers; all when not given", { min: 1, max: 1_000_000_000 }),
  },
  examples: [
    { line: "tidemark ask account used --key ann", says: "What ann has used" },
    { line: "tidemark ask account used --prefix a", says: "What everybody has whose key begins with a" },
  ],
  async run({ args, options, api, terminal }) {
    const input = readInput(args.input);
    const path = `/v1/actors/${segment(args.type)}/queries/${segment(args.query)}`;
    const client = api();
    const show = async (key: string, answer: unknown): Promise<void> => {
      if (terminal.json) await terminal.record({ key, answer });
      else await terminal.line(printable(`${key}  ${JSON.stringify(answer)}`));
    };
    if (options.key !== undefined) {
      const { body } = await client.ask("POST", path, { body: { key: options.key, input } });
      await show(options.key, (body as { readonly answer: unknown }).answer);
      return 0;
    }
    let left = options.limit ?? Number.POSITIVE_INFINITY;
    let failed = false;
    for (let cursor: string | undefined; left > 0; ) {
      const question = { input, limit: Math.min(PAGE, left), ...(options.prefix === undefined ? {} : { prefix: options.prefix }) };
      const { body } = await client.ask("POST", `${path}/each`, { body: { ...question, ...(cursor === undefined ? {} : { cursor }) } });
      const { items, next } = body as { readonly items: readonly Item[]; readonly next: string | null };
      for (const { key, answer, error } of items) {
        if (error === undefined) await show(key, answer);
        else {
          failed = true;
          terminal.notice(printable(`${key}: ${error.code}: ${error.detail}`));
        }
      }
      left -= items.length;
      if (next === null) break;
      cursor = next;
    }
    return failed ? 1 : 0;
  },
});

function readInput(written: string | undefined): unknown {
  if (written === undefined) return null;
  try {
    return JSON.parse(written) as unknown;
  } catch {
    throw new TidemarkError("USAGE_INVALID", `"${written}" is no JSON.`);
  }
}
