/** `tidemark shards`: where each shard is. */
import type { ShardReport } from "../../../runtime/shard/report.ts";
import { command } from "../framework/command.ts";
import { writeList } from "../terminal/list.ts";
import type { Column } from "../terminal/table.ts";

const COLUMNS: readonly Column<ShardReport>[] = [
  { title: "JOB", of: ({ job }) => job },
  { title: "SHARD", of: ({ shard }) => String(shard), right: true },
  {
    title: "STATUS",
    of: ({ status, contested }) => (contested ? `${status}, contested` : status),
    colour: ({ status, contested }) => (status === "halted" ? "red" : status === "running" && !contested ? "green" : "yellow"),
  },
  { title: "POSITION", of: ({ position }) => position },
  { title: "LAG", of: ({ lag }) => String(lag), right: true, colour: ({ lag }) => (lag > 0 ? "yellow" : undefined) },
  { title: "WATERMARK", of: ({ watermark }) => watermark ?? "-" },
  { title: "OUTPUTS", of: ({ outputs }) => String(outputs), right: true },
  { title: "ACTORS", of: ({ actors }) => String(actors), right: true },
  { title: "TIMERS", of: ({ timers }) => String(timers), right: true },
  { title: "VERSION", of: ({ build }) => (build === null ? "-" : String(build.version)), right: true },
  { title: "ROLE", of: ({ role }) => role },
  { title: "NODE", of: ({ node, error }) => (error === undefined ? node : `${node}: ${error.code}`) },
];

export const shards = command({
  name: "shards",
  summary: "Where each shard is: position, lag, watermark, counts",
  arguments: {},
  options: {},
  examples: [
    { line: "tidemark shards", says: "A table; LAG is the number of entries known to wait" },
    { line: "tidemark shards --json | jq .stateHash", says: "All fields, one shard a line" },
  ],
  async run({ api, terminal }) {
    return await writeList(terminal, api().whole("/v1/shards"), COLUMNS);
  },
});
