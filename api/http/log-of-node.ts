/** The logs that a node's jobs and their pumps read: those are the ones that its API writes to. */
import type { SlotMap } from "../../runtime/log/slot-map.ts";
import type { Node } from "../../runtime/node/node.ts";
import { notFound } from "./problem.ts";

/** Throws 404 for a log that no job or pump of the node reads. */
export function slotMapOf(node: Node, log: string): SlotMap {
  const running = node.jobs.find(({ job }) => job.log === log);
  const map = running?.map ?? mapOfSource(node, log);
  if (map === undefined) throw notFound(`There is no log "${log.slice(0, 64)}". A log is made by the start of a job that reads it.`);
  return map;
}

function mapOfSource(node: Node, log: string): SlotMap | undefined {
  for (const { job, sources } of node.jobs) {
    const pump = job.from.find(({ source }) => source.kind === "log" && source.log === log);
    if (pump !== undefined) return sources.get(pump.name);
  }
  return undefined;
}
