/**
 * Scrubs shards, one after the other, in a process apart. Damaged pages may take that process down or send it in a circle:
 * the shard that it was reading is told of as such, and a new process goes on with the next one.
 */
import { type ApartOptions, runApart } from "./process-apart.ts";
import type { FromScrub, ScrubPlace, ScrubTask, ShardScrub } from "./scrub-task.ts";

export interface ScrubbersOptions extends ApartOptions {
  /** Of a core, above 0 and at most 1. */
  readonly share: number;
  /** Told now and then how many rows were read. */
  readonly progress?: (rows: number) => void;
  /** Told of each shard when it is done. */
  readonly onScrubbed?: (scrub: ShardScrub) => void;
}

export async function scrubShards(places: readonly ScrubPlace[], options: ScrubbersOptions): Promise<readonly ShardScrub[]> {
  const { share, signal, progress = () => {}, onScrubbed = () => {} } = options;
  const done: ShardScrub[] = [];
  const add = (scrub: ShardScrub): void => {
    done.push(scrub);
    onScrubbed(scrub);
  };
  while (done.length < places.length) {
    signal?.throwIfAborted();
    const task: ScrubTask = { places: places.slice(done.length), share };
    const rowsDone = (): number => done.reduce((sum, { rows }) => sum + rows, 0);
    const end = await runApart<FromScrub>("./scrub-process.ts", task, options, (message) => {
      if (message.kind === "reading") progress(rowsDone() + message.rows);
      else {
        const { job, shard } = task.places[message.at]!;
        add({ job, shard, ...message.scrubbed });
      }
    });
    signal?.throwIfAborted();
    if (done.length === places.length) break;
    const { job, shard } = places[done.length]!;
    const detail = `the state cannot be read: ${end?.how ?? "its process ended early"}. Its pages are damaged; a node that folds the shard may end the same way`;
    const findings = [{ table: null, slot: null, key: null, actor: null, cell: null, detail }];
    add({ job, shard, rows: 0, count: 1, findings, unreadable: true });
  }
  return done;
}
