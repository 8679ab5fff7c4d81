/**
 * A whole node proves what it holds: `verify` folds the log again beside the state, a scrub rereads its rows, both in
 * processes apart. The node runs meanwhile and has nothing to do. It throws when anything is found to differ.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { findNatsServer } from "../runtime/node/nats-binary.ts";
import { startNatsServer } from "../runtime/node/nats-server.ts";
import { getJson, NodeProcess, untilShards } from "../test/support/node-process.ts";
import type { Row } from "./table.ts";
import { fill } from "./whole-node.ts";

export interface ProofOptions {
  readonly keys: number;
  /** Of each key. */
  readonly events: number;
  readonly batch: number;
}

interface Ended {
  readonly status: string;
  readonly result?: { readonly ok: boolean; readonly shards: readonly { readonly rows?: number; readonly entries?: number }[] };
  readonly error?: unknown;
}

const PARTITIONS = 4;
const POLL_MS = 200;

export async function proofs({ keys, events, batch }: ProofOptions): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const server = await startNatsServer({ binary: findNatsServer().binary, storeDir: join(folder, "nats"), logs: ["bench"] });
  const nc = await connect({ servers: server.url });
  const node = new NodeProcess({
    app: new URL("./apps/one-in-100.ts", import.meta.url).pathname,
    natsUrl: server.url,
    dataDir: join(folder, "data"),
    env: { TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_SNAPSHOT_EVERY: "0s" },
  });
  try {
    const url = await node.ready;
    await fill(nc, { events: keys * events, keys, batch });
    const shards = await untilShards(
      url,
      (all) =>
        all.reduce((sum, { counts }) => sum + (counts.in ?? 0), 0) >= keys * events &&
        all.every(({ outputs, outputsStored, stateHash }) => outputsStored >= outputs && stateHash !== null),
    );
    const actors = shards.reduce((sum, shard) => sum + shard.actors, 0);
    const total = { events: keys * events, actors };
    return [await proved(url, "fold", total), await proved(url, "scrub", total)];
  } finally {
    await node.kill();
    await nc.close();
    await server.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

async function proved(url: string, kind: "fold" | "scrub", { events, actors }: { events: number; actors: number }): Promise<Row> {
  const from = performance.now();
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ kind }) };
  const { id } = (await (await fetch(`${url}/v1/verifications`, init)).json()) as { readonly id: string };
  for (;;) {
    const { status, result, error } = await getJson<Ended>(`${url}/v1/operations/${id}`);
    if (status === "running") {
      await new Promise((resolve) => {
        setTimeout(resolve, POLL_MS);
      });
      continue;
    }
    if (result?.ok !== true) throw new Error(`${kind}: ${status} ${JSON.stringify(error ?? result)}`);
    const seconds = (performance.now() - from) / 1000;
    const rows = result.shards.reduce((sum, shard) => sum + (shard.rows ?? 0), 0);
    return {
      benchmark: kind === "fold" ? "verify, folded from the start" : "scrub, all rows reread",
      actors,
      ...(kind === "fold" ? { events } : { rows }),
      seconds: Math.round(seconds * 10) / 10,
      "a second": Math.round((kind === "fold" ? events : rows) / seconds),
    };
  }
}
