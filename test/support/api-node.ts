/** A running node for a test file of the API: its own nats-server, its own data directory, gone afterwards. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { startTestNats, type TestNats } from "./nats.ts";
import { NodeProcess, shardsOf, untilShards } from "./node-process.ts";

export interface ApiNode {
  readonly url: string;
  readonly nats: TestNats;
  readonly nc: NatsConnection;
  readonly node: NodeProcess;
}

/** `app`: path of the module, from this folder; its log has the name of its job. */
export async function startApiNode(app: string, log: string, env: Readonly<Record<string, string>> = {}): Promise<ApiNode> {
  const nats = await startTestNats({ after }, { logs: [log] });
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-api-"));
  const nc = await connect({ servers: nats.url });
  const node = new NodeProcess({ app: new URL(app, import.meta.url).pathname, natsUrl: nats.url, dataDir, env });
  after(async () => {
    await node.kill();
    await nc.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const url = await node.ready;
  await untilShards(url, (shards) => shards.every(({ status }) => status === "running"));
  return { url, nats, nc, node };
}

/** A count of all shards together. */
export async function countOf(url: string, name: string): Promise<number> {
  return sumOf(await shardsOf(url), name);
}

/** Resolves when so many events were folded and every output of them is stored. */
export async function untilFolded(url: string, events: number): Promise<readonly ShardReport[]> {
  return await untilShards(
    url,
    (shards) => sumOf(shards, "in") >= events && shards.every(({ outputs, outputsStored, lag }) => lag === 0 && outputsStored >= outputs),
  );
}

function sumOf(shards: readonly ShardReport[], name: string): number {
  return shards.reduce((sum, { counts }) => sum + (counts[name] ?? 0), 0);
}

/** Every output, page by page. */
export async function allOutputs<T>(url: string, query = ""): Promise<T[]> {
  const items: T[] = [];
  for (let next: string | null = ""; next !== null; ) {
    const answer = await fetch(`${url}/v1/outputs?limit=1000${query}${next === "" ? "" : `&cursor=${next}`}`);
    if (!answer.ok) throw new Error(await answer.text());
    const page = (await answer.json()) as { readonly items: readonly T[]; readonly next: string | null };
    items.push(...page.items);
    next = page.next;
  }
  return items;
}
