/** `tidemark snapshot create|list|show|verify`: state of a job as it was at exact positions. */
import { segment } from "../client/api-client.ts";
import { runOperation } from "../client/operation-run.ts";
import { command, required, text } from "../framework/command.ts";
import { printable } from "../terminal/printable.ts";
import { type Column, Table } from "../terminal/table.ts";

interface SnapshotItem {
  readonly id: string;
  readonly job: string;
  readonly takenAt: string;
  readonly reason: string;
  readonly shards: readonly { readonly shard: number }[];
}

interface ShardItem {
  readonly shard: number;
  readonly position: string;
  readonly watermark: string | null;
  readonly outputs: number;
  readonly version: number;
  readonly deltas: number;
  readonly bytes: number;
  readonly writtenBytes: number;
}

const COLUMNS: readonly Column<SnapshotItem>[] = [
  { title: "SNAPSHOT", of: ({ id }) => id },
  { title: "JOB", of: ({ job }) => job },
  { title: "TAKEN", of: ({ takenAt }) => takenAt },
  { title: "REASON", of: ({ reason }) => reason },
  { title: "SHARDS", of: ({ shards }) => String(shards.length), right: true },
];

const SHARD_COLUMNS: readonly Column<ShardItem>[] = [
  { title: "SHARD", of: ({ shard }) => String(shard), right: true },
  { title: "POSITION", of: ({ position }) => position },
  { title: "WATERMARK", of: ({ watermark }) => watermark ?? "-" },
  { title: "OUTPUTS", of: ({ outputs }) => String(outputs), right: true },
  { title: "VERSION", of: ({ version }) => String(version), right: true },
  { title: "DELTAS", of: ({ deltas }) => String(deltas), right: true },
  { title: "BYTES", of: ({ bytes }) => String(bytes), right: true },
  { title: "WRITTEN", of: ({ writtenBytes }) => String(writtenBytes), right: true },
];

export const snapshotCreate = command({
  name: "snapshot create",
  summary: "Takes a snapshot of one job, or of all, and waits until it was read back",
  details: ["Shards go on meanwhile. Nodes take snapshots by themselves too, every TIDEMARK_SNAPSHOT_EVERY where something changed."],
  arguments: {},
  options: { job: text("J", "only of this job") },
  examples: [{ line: "tidemark snapshot create --job meter", says: "Before an upgrade, say" }],
  async run({ options: { job }, api, terminal }) {
    const result = await runOperation(api(), terminal, "/v1/snapshots", job === undefined ? {} : { job });
    const { snapshots } = result as { readonly snapshots: readonly SnapshotItem[] };
    if (terminal.json) for (const snapshot of snapshots) await terminal.record(snapshot);
    else await new Table(terminal, COLUMNS).write(snapshots);
    if (snapshots.length === 0) terminal.notice("nothing has been folded yet, so there is nothing to take a snapshot of");
    return 0;
  },
});

export const snapshotList = command({
  name: "snapshot list",
  summary: "Snapshots, the newest first",
  details: ["Kept are the last three, one of each hour for a day, one of each day for TIDEMARK_SNAPSHOT_KEEP, and one at each epoch."],
  arguments: {},
  options: { job: text("J", "only of this job") },
  examples: [{ line: "tidemark snapshot list --job meter", says: "What can be gone back to" }],
  async run({ options: { job }, api, terminal }) {
    const body = await api().get("/v1/snapshots", { job });
    const { items, damaged } = body as {
      readonly items: readonly SnapshotItem[];
      readonly damaged: readonly { readonly name: string; readonly message: string }[];
    };
    if (terminal.json) for (const item of items) await terminal.record(item);
    else await new Table(terminal, COLUMNS).write(items);
    for (const { message } of damaged) terminal.notice(printable(message));
    return damaged.length === 0 ? 0 : 1;
  },
});

export const snapshotShow = command({
  name: "snapshot show",
  summary: "One snapshot: where each shard was, and what it takes",
  arguments: { id: required("id of the snapshot") },
  options: {},
  examples: [{ line: "tidemark snapshot show meter.20261127T090000000Z", says: "Positions, outputs and sizes" }],
  async run({ args, api, terminal }) {
    const body = (await api().get(`/v1/snapshots/${segment(args.id)}`)) as { readonly shards: readonly ShardItem[] };
    if (terminal.json) await terminal.record(body);
    else await new Table(terminal, SHARD_COLUMNS).write(body.shards);
    return 0;
  },
});

export const snapshotVerify = command({
  name: "snapshot verify",
  summary: "Reads a snapshot to its last row and checks it",
  details: [
    "Every chunk against its checksum, and the rows of each shard against its state hash. It ends with 1 when something is damaged, and names it.",
  ],
  arguments: { id: required("id of the snapshot") },
  options: {},
  examples: [{ line: "tidemark snapshot verify meter.20261127T090000000Z", says: "Before it is needed" }],
  async run({ args, api, terminal }) {
    const result = await runOperation(api(), terminal, `/v1/snapshots/${segment(args.id)}/verify`);
    const { bytes } = result as { readonly bytes: number };
    if (terminal.json) await terminal.record(result);
    else await terminal.line(printable(`${args.id} is whole: ${bytes} bytes`));
    return 0;
  },
});
