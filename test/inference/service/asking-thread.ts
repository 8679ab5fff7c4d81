/** A thread of a node that asks the inference process by itself, as one that holds shards does. */
import { parentPort, workerData } from "node:worker_threads";
import { InferenceClient } from "../../../inference/service/client.ts";
import type { ServiceAddress } from "../../../inference/service/messages.ts";
import { ask, outputOf } from "./echo-world.ts";

const { address, count } = workerData as { readonly address: ServiceAddress; readonly count: number };
const client = new InferenceClient({ address: async () => address, lane: "stream", now: () => Date.now() });
const inferences = await Promise.all(Array.from({ length: count }, (_, value) => ask(client, { value })));
client.close();
parentPort!.postMessage(inferences.map((inference) => outputOf(inference).value));
