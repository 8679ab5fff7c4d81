/**
 * The data directory of a node: `node.json`, one LMDB environment per shard under `shards/<job>-<p>/`, and `scratch/`,
 * which is wiped whenever the directory is opened.
 * One process has it at a time: the lock is taken before anything else in it is read or written.
 */
import { randomBytes } from "node:crypto";
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { TidemarkError } from "../errors.ts";
import { lockDataDir } from "./data-dir-lock.ts";

export interface DataDir {
  readonly path: string;
  readonly nodeId: string;
  /** Folder of the LMDB environment of a shard. */
  shardFolder(job: string, partition: number): string;
  /** For what is worth nothing behind the end of the process. Not there yet. */
  scratchFolder(name: string): string;
  /** Gives the lock back. Close every environment before. */
  release(): Promise<void>;
}

export interface DataDirOptions {
  /** `TIDEMARK_NODE_ID`; without it the id that the directory keeps, made when it keeps none. */
  readonly nodeId?: string | undefined;
}

const NODE_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** Creates the directory when it is missing and takes it. Fails with `DATA_DIR_UNWRITABLE`, `DATA_DIR_LOCKED`, `CONFIG_INVALID` or `STATE_FORMAT`. */
export async function openDataDir(path: string, options: DataDirOptions = {}): Promise<DataDir> {
  if (options.nodeId !== undefined && !NODE_ID.test(options.nodeId)) {
    throw new TidemarkError("CONFIG_INVALID", `TIDEMARK_NODE_ID is ${JSON.stringify(options.nodeId)} and must match ${NODE_ID.source}.`);
  }
  const folder = resolve(path);
  try {
    mkdirSync(join(folder, "shards"), { recursive: true });
    accessSync(folder, constants.W_OK);
    let nodeId = "";
    const lock = await lockDataDir(folder, () => {
      nodeId = options.nodeId ?? keptNodeId(folder) ?? keepNodeId(folder, `node-${randomBytes(6).toString("hex")}`);
      return { pid: process.pid, startedAt: new Date().toISOString(), nodeId };
    });
    rmSync(join(folder, "scratch"), { recursive: true, force: true });
    return {
      path: folder,
      nodeId,
      scratchFolder: (name) => join(folder, "scratch", name),
      shardFolder: (job, partition) => join(folder, "shards", `${job}-${partition}`),
      release: () => lock.release(),
    };
  } catch (error) {
    if (error instanceof TidemarkError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new TidemarkError("DATA_DIR_UNWRITABLE", `${folder}: ${detail}.`, { cause: error });
  }
}

function keptNodeId(folder: string): string | undefined {
  const file = join(folder, "node.json");
  if (!existsSync(file)) return undefined;
  const nodeId = nodeIdIn(readFileSync(file, "utf8"));
  if (nodeId === undefined) throw new TidemarkError("STATE_FORMAT", `${file} holds no node id; without the file the node gets a new one.`);
  return nodeId;
}

function nodeIdIn(text: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null || !("nodeId" in parsed)) return undefined;
    return typeof parsed.nodeId === "string" && NODE_ID.test(parsed.nodeId) ? parsed.nodeId : undefined;
  } catch {
    return undefined;
  }
}

function keepNodeId(folder: string, nodeId: string): string {
  const file = join(folder, "node.json");
  writeFileSync(`${file}.new`, `${JSON.stringify({ nodeId })}\n`, { flush: true });
  renameSync(`${file}.new`, file);
  return nodeId;
}
