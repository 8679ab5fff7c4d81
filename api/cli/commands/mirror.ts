/** `tidemark mirror sync|status|promote`: a second site that can go on when the first one is gone (docs/disaster-recovery.md). */
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { formatInstant } from "../../../actors/model/time.ts";
import { TidemarkError } from "../../../runtime/errors.ts";
import type { MirrorStatus } from "../../../runtime/mirror/mirror-status.ts";
import type { PromotedStream } from "../../../runtime/mirror/promotion.ts";
import type { RemovedMessage } from "../../../runtime/mirror/stream-cut.ts";
import { readConfig } from "../../../runtime/node/config.ts";
import { primitives } from "../../../runtime/primitives.ts";
import { command, file, flag, parsed, required, usageError } from "../framework/command.ts";
import type { MirrorSite } from "../mirror-site.ts";
import { printable } from "../terminal/printable.ts";
import { type Column, Table } from "../terminal/table.ts";

const SITE = /^[A-Za-z0-9_-]{1,64}$/;
const REMOVED_FILE = "removed.ndjson";

export const mirrorSync = command({
  name: "mirror sync",
  summary: "Lets the streams of this NATS cluster follow those of a first site",
  details: [
    "Run against the second site. It makes a mirror of each stream of Tidemark that the first site has and this one lacks, with the replicas and the placement of the settings, and deletes here what was trimmed, erased or cleared there: no mirror does that by itself. Run it every few minutes, and behind each new job.",
    "It changes nothing at the first site.",
  ],
  arguments: { site: required("JetStream domain of the first site, like site-a") },
  options: {},
  examples: [{ line: "tidemark mirror sync site-a", says: "Makes the mirrors, or brings them up to date" }],
  async run({ args: { site }, env, terminal }) {
    if (!SITE.test(site)) throw usageError(`"${site}" is no JetStream domain.`);
    const synced = await (await onThisSite(env)).sync(site);
    if (terminal.json) for (const one of synced) await terminal.record(one);
    else {
      for (const { stream, did, removed } of synced.filter((one) => one.did !== "nothing" || one.removed > 0))
        await terminal.line(`${stream}: ${did}${removed > 0 ? `, ${removed} removed` : ""}`);
      await terminal.line(`${synced.length} streams follow ${site}`);
    }
    return 0;
  },
});

const STATUS: readonly Column<MirrorStatus>[] = [
  { title: "STREAM", of: ({ stream }) => stream },
  { title: "STATUS", of: ({ status }) => status, colour: ({ status }) => (isWrong(status) ? "red" : undefined) },
  { title: "LAST", of: ({ last }) => String(last), right: true },
  { title: "BEHIND", of: ({ behind }) => (behind === null ? "?" : String(behind)), right: true },
  { title: "LAST STORED", of: ({ lastAt }) => lastAt ?? "" },
];

export const mirrorStatusCommand = command({
  name: "mirror status",
  summary: "How far the mirrors of this NATS cluster are behind the first site",
  details: [
    "BEHIND are messages that are still to come; `?` when the first site does not answer. LAST STORED is when the newest message that is here was stored there. It ends with 1 when the first site does not answer, has a stream that is not mirrored (`missing`), or has another one, or one that lost messages, in the place of one that is (`replaced`).",
  ],
  arguments: {},
  options: {},
  examples: [{ line: "tidemark mirror status", says: "One line for each stream" }],
  async run({ env, terminal }) {
    const { site, answers, streams } = await (await onThisSite(env)).status();
    if (site === undefined) throw new TidemarkError("MIRROR_MISSING", "No stream of this site is a mirror.");
    if (terminal.json) for (const one of streams) await terminal.record(one);
    else await new Table(terminal, STATUS).write(streams);
    if (!answers) terminal.notice(`the site ${site} does not answer`);
    return answers && !streams.some(({ status }) => isWrong(status)) ? 0 : 1;
  },
});

export const mirrorPromote = command({
  name: "mirror promote",
  summary: "Makes the mirrors of this NATS cluster streams of its own, so that nodes can start here",
  details: [
    "The first site must be down, and must not come back as it was. Each stream ends before the first message whose cause did not come over: outputs of entries of the log that are not here go, for those entries are lost. What goes is written to a file first. Snapshots that are ahead of their log are deleted.",
    "While the first site answers and has more than the mirrors it is refused, unless --now is given. A promotion that was cut off is ended by running it again.",
  ],
  arguments: {},
  options: {
    "dry-run": flag("only say what would go"),
    now: flag("also when the first site answers and has more: that is lost then"),
    removed: { ...file("FILE", "where to write the messages that go, as NDJSON"), default: REMOVED_FILE },
    pumps: parsed("NAME=SOURCE", "what pumps with a name of their own read: a log or <job>-out, with commas between them", readPumps),
  },
  examples: [
    { line: "tidemark mirror promote --dry-run", says: "What would be lost" },
    { line: "tidemark mirror promote", says: "Goes on without the first site" },
  ],
  async run({ options, env, terminal }) {
    const { "dry-run": dryRun, now, removed: path = REMOVED_FILE, pumps = new Map<string, string>() } = options;
    const site = await onThisSite(env);
    const removed = new RemovedFile(path);
    try {
      const promotion = await site.promote({ dryRun, now, pumps, removed: (message) => removed.write(message) });
      if (terminal.json) await terminal.record(promotion);
      else {
        for (const stream of promotion.streams)
          if (stream.kind === "log" || stream.kind === "outputs" || stream.removed > 0) await terminal.line(lineOf(stream, dryRun));
        for (const snapshot of promotion.snapshots) await terminal.line(`${printable(snapshot)}: a snapshot ahead of its log, deleted`);
        const what = dryRun ? "would be promoted" : "promoted";
        await terminal.line(`${promotion.streams.length} streams ${what}${removed.count > 0 ? `; what went is in ${path}` : ""}`);
      }
    } finally {
      removed.close();
    }
    return 0;
  },
});

async function onThisSite(env: Readonly<Record<string, string | undefined>>): Promise<MirrorSite> {
  const { MirrorSite } = await import("../mirror-site.ts");
  return new MirrorSite(readConfig(env));
}

function isWrong(status: MirrorStatus["status"]): boolean {
  return status === "missing" || status === "replaced";
}

function lineOf({ stream, last, removed }: PromotedStream, dryRun: boolean): string {
  const what = removed === 0 ? "" : `, ${removed} messages behind it ${dryRun ? "would go" : "went"}`;
  return `${stream}: ends at ${last}${what}`;
}

function readPumps(written: string): ReadonlyMap<string, string> {
  const pumps = new Map<string, string>();
  for (const pair of written.split(",")) {
    const [pump, source, ...more] = pair.split("=");
    if (pump === undefined || pump === "" || source === undefined || source === "" || more.length > 0)
      throw new TypeError("write NAME=SOURCE, with commas between several");
    pumps.set(pump, source);
  }
  return pumps;
}

/** Opened with the first message. One that is there is added to: a promotion that was cut off goes on. */
class RemovedFile {
  readonly #path: string;
  #file: number | undefined;
  count = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** At once: what is written here is deleted next. */
  write({ stream, sequence, subject, time, payload }: RemovedMessage): void {
    this.#file ??= openSync(this.#path, "a", 0o600);
    const text = primitives.decodeUtf8(payload);
    const content = text === undefined ? { base64: Buffer.from(payload).toString("base64") } : { text };
    const line = { stream, sequence, subject, time: formatInstant(time), ...content };
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
    this.count++;
  }

  close(): void {
    if (this.#file === undefined) return;
    fsyncSync(this.#file);
    closeSync(this.#file);
  }
}
