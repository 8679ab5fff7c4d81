/** `tidemark watermark <log> <time>`: says that nothing older comes. */
import { randomUUID } from "node:crypto";
import { formatInstant, parseInstant } from "../../../actors/model/time.ts";
import { segment } from "../client/api-client.ts";
import { command, required, usageError } from "../framework/command.ts";

export const watermark = command({
  name: "watermark",
  summary: "Lifts the watermark of a log: nothing older comes",
  details: [
    "It appends an entry to every partition. Windows and timers up to that time fire, and what is older and still comes is late. A watermark never falls: a time below it changes nothing.",
  ],
  arguments: { log: required("the log, like meter"), time: required("an instant in RFC 3339, like 2026-03-07T00:00:00Z") },
  options: {},
  examples: [{ line: "tidemark watermark meter 2026-03-07T00:00:00Z", says: "Closes every day up to the sixth of March" }],
  async run({ args, api, terminal }) {
    const at = parseInstant(args.time);
    if (at === undefined) throw usageError(`watermark: "${args.time}" is no instant; write it like 2026-03-07T00:00:00Z.`);
    const time = formatInstant(at);
    const { body } = await api().ask("POST", `/v1/logs/${segment(args.log)}/watermark`, {
      body: { time },
      headers: { "idempotency-key": randomUUID() },
    });
    if (terminal.json) await terminal.record(body);
    else {
      const { positions } = body as { readonly positions?: readonly string[] };
      await terminal.line(`${args.log}: nothing older than ${time} comes; said at ${(positions ?? []).join(", ")}`);
    }
    return 0;
  },
});
