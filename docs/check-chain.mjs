// Checks the chain of a whole output stream from outside. It knows nothing of Tidemark but what docs/outputs.md says of the
// stream `<job>-out-<p>`: message k is output k, its header tidemark-chain is the first 16 bytes of
// SHA-256(chain of k-1, 16 zero bytes before the first ‖ length of the subject, 4 bytes big-endian ‖ subject ‖ payload).
//
//   node check-chain.mjs <nats url> <job> <partition>
//
// Prints the first message that is not what it must be and ends with 1; 0 when all are. A stream whose beginning was trimmed
// is checked from its first message on, which is then believed.
import { createHash } from "node:crypto";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const [url, job, partition] = process.argv.slice(2);
if (partition === undefined) {
  console.error("usage: node check-chain.mjs <nats url> <job> <partition>");
  process.exit(2);
}

function idOf(data) {
  try {
    return JSON.parse(Buffer.from(data).toString()).id;
  } catch {
    return undefined;
  }
}

function fail(k, what) {
  console.log(`${stream}: message ${k}: ${what}`);
  process.exit(1);
}

/** Backwards from the stream's last sequence: messages that were erased are none. */
async function lastStored() {
  for (let seq = state.last_seq; seq >= state.first_seq; seq--) {
    const message = await manager.streams.getMessage(stream, { seq });
    if (message !== null) return message;
  }
}

const stream = `${job}-out-${partition}`;
const nc = await connect({ servers: url });
const manager = await jetstreamManager(nc);
const { state } = await manager.streams.info(stream);
let chain = state.first_seq <= 1 ? Buffer.alloc(16) : undefined;
let k = Math.max(1, state.first_seq);
// The last that is there: behind it there is nothing to wait for, whatever the stream says its last sequence was.
const last = state.messages === 0 ? undefined : (await lastStored())?.seq;
if (last !== undefined) {
  const consumer = await jetstream(nc).consumers.get(stream, { opt_start_seq: k, deliver_policy: "by_start_sequence" });
  for await (const message of await consumer.consume({ max_bytes: 8 << 20 })) {
    if (message.seq !== k) fail(k, `is missing; the next one is ${message.seq}`);
    const told = message.headers?.get("tidemark-chain") ?? "";
    if (!/^[0-9a-f]{32}$/.test(told)) fail(k, "has no tidemark-chain header: it is not the runtime's");
    if (chain !== undefined) {
      const subject = Buffer.from(message.subject);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(subject.length);
      const made = createHash("sha256").update(chain).update(length).update(subject).update(message.data).digest("hex").slice(0, 32);
      if (made !== told) fail(k, `its chain is ${told}, its bytes and the chain before give ${made}`);
    }
    const id = idOf(message.data);
    if (id !== `${job}.${partition}.${k}`) fail(k, `its id is ${id}, not ${job}.${partition}.${k}`);
    chain = Buffer.from(told, "hex");
    k++;
    if (message.seq >= last) break;
  }
}
if (k <= state.last_seq) fail(k, `is missing, as is all up to ${state.last_seq}, the last that the stream had`);
console.log(
  `${stream}: ${state.messages} messages hold, chain ${chain?.toString("hex") ?? "empty"}${state.first_seq > 1 ? `, from ${state.first_seq} on` : ""}`,
);
await nc.close();
