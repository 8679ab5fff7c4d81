/** A node that has an inference process and is killed: it says which one it is, and lets it spin when told to. */
import { InferenceClient } from "../../../inference/service/client.ts";
import { systemClock } from "../../../runtime/clock.ts";
import { InferenceProcess } from "../../../runtime/inference/inference-process.ts";
import { ask, outputOf, recordOf } from "./echo-world.ts";

export interface OrphanStarted {
  readonly pid: number;
  readonly path: string;
}

const service = new InferenceProcess({
  source: { find: async (model, version) => ({ record: recordOf(model, version) }) },
  settings: {},
  clock: systemClock,
  notice: (message) => process.stderr.write(`${message}\n`),
  module: new URL("./echo-process.ts", import.meta.url),
});
const client = new InferenceClient({ address: async () => service.address(), lane: "stream", now: () => Date.now() });
const { pid } = outputOf(await ask(client, {}));
if (process.argv[2] === "true") {
  void ask(client, { spin: true });
  // Not answered: the one before it was begun.
  await ask(client, {}, { deadline: Date.now() + 300 });
}
process.send!({ pid, path: service.address().path } satisfies OrphanStarted);
