/** The chain checker that users run from outside: it ends, and names the first message that is not what it must be. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, headers } from "@nats-io/transport-node";
import { CHAIN_START } from "../../actors/fold/primitives.ts";
import { primitives } from "../../runtime/primitives.ts";
import { startTestNats } from "../support/nats.ts";

const SCRIPT = new URL("../../docs/check-chain.mjs", import.meta.url).pathname;

test("the chain is checked from outside: whole, with a message gone, with one of a stranger, and trimmed at its beginning", {
  timeout: 120_000,
}, async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const jsm = await jetstreamManager(nc);
  const js = jetstream(nc);

  /** A job's stream of six outputs, then changed; gives what the script ends with and says. */
  const check = async (job: string, change: (stream: string) => Promise<unknown>): Promise<readonly [number, string]> => {
    const stream = `${job}-out-0`;
    await jsm.streams.add({ name: stream, subjects: [`${job}.out.>`] });
    let chain = CHAIN_START;
    for (let k = 1; k <= 6; k++) {
      const subject = `${job}.out.key.type`;
      const payload = Buffer.from(JSON.stringify({ id: `${job}.0.${k}` }));
      chain = primitives.chain(chain, subject, payload);
      const told = headers();
      told.set("tidemark-chain", chain);
      await js.publish(subject, payload, { headers: told });
    }
    await change(stream);
    return await new Promise((resolve) => {
      execFile(process.execPath, [SCRIPT, nats.url, job, "0"], { timeout: 30_000 }, (error, stdout) => {
        resolve([error === null ? 0 : Number(error.code ?? -1), stdout.trim()]);
      });
    });
  };

  const [whole, said] = await check("whole", async () => {});
  assert.deepEqual([whole, said.split(",")[0]], [0, "whole-out-0: 6 messages hold"]);
  assert.deepEqual(await check("middle", (stream) => jsm.streams.deleteMessage(stream, 3)), [
    1,
    "middle-out-0: message 3: is missing; the next one is 4",
  ]);
  assert.deepEqual(await check("tail", (stream) => jsm.streams.deleteMessage(stream, 6)), [
    1,
    "tail-out-0: message 6: is missing, as is all up to 6, the last that the stream had",
  ]);
  assert.deepEqual(await check("purged", (stream) => jsm.streams.purge(stream)), [
    0,
    "purged-out-0: 0 messages hold, chain empty, from 7 on",
  ]);
  assert.deepEqual(await check("stranger", (stream) => js.publish(`${stream.slice(0, -6)}.out.key.type`, "no json")), [
    1,
    "stranger-out-0: message 7: has no tidemark-chain header: it is not the runtime's",
  ]);
  const [trimmed, rest] = await check("trimmed", (stream) => jsm.streams.purge(stream, { seq: 4 }));
  assert.deepEqual([trimmed, rest.replace(/chain [0-9a-f]{32}/, "chain")], [0, "trimmed-out-0: 3 messages hold, chain, from 4 on"]);
});
