/** Calls that wait for their result, as committed rows have them: for those who answer them, and for answers about actors. */
import { type CallRecord, decodeCall } from "./call-row.ts";
import type { Section } from "./key-row.ts";
import { callRow, callsOf, readCallRow, tableEnd } from "./keys.ts";
import type { CommittedRows } from "./rows.ts";

const SCAN_ROWS = 1_000;

/** All of the shard, in the order in which they were asked for. */
export function* waitingCalls(rows: CommittedRows): Iterable<CallRecord> {
  const end = tableEnd(callsOf());
  for (let from = callsOf(); ; ) {
    const found = rows.scan(from, end, SCAN_ROWS);
    for (const { key, value } of found) yield decodeCall(readCallRow(key), value);
    if (found.length < SCAN_ROWS) return;
    from = `${found.at(-1)!.key}\0`;
  }
}

/** Those of one actor. One that is missing was answered by a commit since its section was read. */
export function callsOfActor(rows: CommittedRows, { calls }: Section): CallRecord[] {
  return calls.flatMap((address) => {
    const bytes = rows.get(callRow(address));
    return bytes === undefined ? [] : [decodeCall(address, bytes)];
  });
}
