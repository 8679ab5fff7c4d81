/** A snapshot of all that is folded: what is taken is what was committed, and that comes a little later. */
import type { ShardReport } from "../../runtime/shard/report.ts";
import { sequenceOf, shardsOf } from "./node-process.ts";

/** `take`: takes one of every job. Gives what the last call of it gave. */
export async function snapshotOfAll<T>(url: string, take: () => Promise<T>): Promise<T> {
  const folded = await shardsOf(url);
  for (;;) {
    const taken = await take();
    const now = await shardsOf(url);
    if (
      folded.every((shard) =>
        isIn(
          shard,
          now.find(({ job, shard: number }) => job === shard.job && number === shard.shard),
        ),
      )
    )
      return taken;
  }
}

function isIn({ position }: ShardReport, now: ShardReport | undefined): boolean {
  const last = now?.lastSnapshot;
  return last !== undefined && last !== null && sequenceOf(last.position) >= sequenceOf(position);
}
