/** `tidemark state sizes|expiries`: what state costs on disk, and how much of it goes when. */
import type { ExpiryCount, PartSize } from "../../../runtime/node/state-walk.ts";
import type { ApiClient, Query } from "../client/api-client.ts";
import { choice, command, text, whole } from "../framework/command.ts";
import { type Column, Table } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

type Size = PartSize & { readonly job: string };
type Expiring = Omit<ExpiryCount, "from"> & { readonly job: string; readonly from: string };

const DEDUPE = "ids remembered";

const SIZES: readonly Column<Size>[] = [
  { title: "JOB", of: ({ job }) => job },
  { title: "ACTOR", of: ({ actor }) => actor ?? "" },
  { title: "CELL", of: ({ part, cell }) => cell ?? (part === "dedupe" ? DEDUPE : "keys, timers, calls") },
  { title: "ACTORS", of: ({ actors }) => String(actors), right: true },
  { title: "ENTRIES", of: ({ entries }) => String(entries), right: true },
  { title: "BYTES", of: ({ bytes }) => String(bytes), right: true },
];

const EXPIRIES: readonly Column<Expiring>[] = [
  { title: "FROM", of: ({ from }) => from },
  { title: "JOB", of: ({ job }) => job },
  { title: "ACTOR", of: ({ actor }) => actor ?? "" },
  { title: "CELL", of: ({ cell }) => cell ?? DEDUPE },
  { title: "COUNT", of: ({ count }) => String(count), right: true },
];

const job = text("J", "only of this job");

export const stateSizes = command({
  name: "state sizes",
  summary: "Which cells take how much of the disk, the largest first",
  details: [
    "BYTES are those of rows and their keys, with the places in the index of what expires; what the store adds in pages is not in them, and tidemark shards has it. What has expired counts until it is swept.",
    "All rows are read, by a thread that holds up no shard. With --sample it looks into so many of 1024 slots and multiplies: good for many keys of a size, not for a few large ones.",
  ],
  arguments: {},
  options: { job, sample: whole("N", "look into N of 1024 slots, and multiply", { min: 1, max: 1_024, fallback: 1_024 }) },
  examples: [
    { line: "tidemark state sizes --job meter", says: "What the cells of a job cost" },
    { line: "tidemark state sizes --sample 32", says: "An estimate, from a 32nd of the state" },
  ],
  async run({ options, api, terminal }) {
    const sums = new Map<string, Size>();
    let pages = 0;
    for await (const page of pagesOf<Size>(api(), "/v1/state/sizes", { job: options.job, sample: options.sample })) {
      for (const { actors, entries, bytes, ...part } of page) {
        const known = sums.get(JSON.stringify(part)) ?? { ...part, actors: 0, entries: 0, bytes: 0 };
        sums.set(JSON.stringify(part), {
          ...known,
          actors: known.actors + actors,
          entries: known.entries + entries,
          bytes: known.bytes + bytes,
        });
      }
      if (terminal.stderr.isTTY === true) terminal.stderr.write(`\r${++pages} pages read`);
    }
    await writeAll(
      terminal,
      [...sums.values()].sort((a, b) => b.bytes - a.bytes),
      SIZES,
    );
    return 0;
  },
});

export const stateExpiries = command({
  name: "state expiries",
  summary: "How much of the state expires when, by hour or day of event time",
  details: [
    "An entry that was written again counts where it stood before, until that comes due: it goes then or later. Without a cell it is the ids that a key remembers.",
  ],
  arguments: {},
  options: { job, by: choice(["hour", "day"], "length of a span", "hour") },
  examples: [{ line: "tidemark state expiries --by day", says: "What goes on which day" }],
  async run({ options, api, terminal }) {
    const sums = new Map<string, Expiring>();
    for await (const page of pagesOf<Expiring>(api(), "/v1/state/expiries", { job: options.job, by: options.by, limit: 1_000 })) {
      for (const { count, ...span } of page) {
        const known = sums.get(JSON.stringify(span));
        sums.set(JSON.stringify(span), { ...span, count: (known?.count ?? 0) + count });
      }
    }
    await writeAll(
      terminal,
      [...sums.values()].sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0)),
      EXPIRIES,
    );
    return 0;
  },
});

async function* pagesOf<T>(api: ApiClient, path: string, query: Query): AsyncGenerator<readonly T[]> {
  let cursor: string | undefined;
  do {
    const page = (await api.get(path, { ...query, cursor })) as { readonly items: readonly T[]; readonly next: string | null };
    yield page.items;
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
}

async function writeAll<T>(terminal: Terminal, items: readonly T[], columns: readonly Column<T>[]): Promise<void> {
  if (terminal.stderr.isTTY === true) terminal.stderr.write("\r");
  if (terminal.json) for (const item of items) await terminal.record(item);
  else if (items.length === 0) terminal.notice("none");
  else await new Table(terminal, columns).write(items);
}
