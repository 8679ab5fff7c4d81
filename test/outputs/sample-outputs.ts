/** Outputs of a made-up shard, the same for the same seed, and what drives them into a stream the way a shard does. */
import assert from "node:assert/strict";
import { chainOf, NO_CHAIN } from "../../runtime/outputs/chain.ts";
import type { Output, OutputStream, OutputWindow } from "../../runtime/outputs/output-stream.ts";

export function sampleOutputs(job: string, count: number, payloadBytes = 200, seed = "a"): Output[] {
  const outputs: Output[] = [];
  let chain = NO_CHAIN;
  for (let k = 1; k <= count; k++) {
    const subject = `${job}.out.0.key-${k % 7}.total.daily`;
    const payload = Buffer.from(JSON.stringify({ id: `${job}.0.${k}`, data: seed }).padEnd(payloadBytes, " "));
    chain = chainOf(chain, subject, payload);
    outputs.push({ k, subject, payload, chain });
  }
  return outputs;
}

/** Chain of output `k`. */
export function chainAt(outputs: readonly Output[], k: number): string {
  return k === 0 ? NO_CHAIN : outputs[k - 1]!.chain;
}

/** Sends up to `upTo` and waits until all is acknowledged or the window is refused. */
export async function drain(window: OutputWindow, outputs: readonly Output[], from: number, upTo: number): Promise<void> {
  let k = from;
  while (window.refusal === undefined && window.acknowledged < upTo) {
    while (k < upTo && window.refusal === undefined && window.hasRoom()) window.send(outputs[k++]!);
    window.flush();
    if (window.refusal === undefined && window.acknowledged < upTo) await window.changed(10_000);
  }
}

/** What an owner does: compare with the stream, go on behind what it has, until it has everything. Gives the number of windows. */
export async function publishAll(
  stream: OutputStream,
  outputs: readonly Output[],
  retry: () => Promise<void> = async () => {},
): Promise<number> {
  for (let windows = 0; ; ) {
    let last: Awaited<ReturnType<OutputStream["last"]>>;
    try {
      last = await stream.last();
    } catch {
      await retry();
      continue;
    }
    if (last.sequence > 0) assert.equal(last.chain, chainAt(outputs, last.sequence), `output ${last.sequence} is not ours`);
    if (last.sequence === outputs.length) return windows;
    const window = stream.open(last.sequence, chainAt(outputs, last.sequence));
    windows++;
    await drain(window, outputs, last.sequence, outputs.length);
    window.close();
    if (window.refusal !== undefined) await retry();
  }
}
