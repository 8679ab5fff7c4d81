/** `tidemark actors <type>`: keys that have an actor. */

import { segment } from "../client/api-client.ts";
import { command, required, text, whole } from "../framework/command.ts";
import { printable } from "../terminal/printable.ts";

export const actors = command({
  name: "actors",
  summary: "Keys that have an actor of a type",
  details: ["Keys come by partition and slot, not by the alphabet. Escape sequences in keys are shown, never sent to the terminal."],
  arguments: { type: required("an actor type, like meter") },
  options: {
    prefix: text("P", "only keys that begin with P"),
    limit: whole("N", "at most so many; all when not given", { min: 1, max: 1_000_000_000 }),
  },
  examples: [
    { line: "tidemark actors meter --prefix device-1", says: "Keys that begin with device-1" },
    { line: "tidemark actors meter | wc -l", says: "How many there are" },
  ],
  async run({ args, options, api, terminal }) {
    const pages = api().pages(`/v1/actors/${segment(args.type)}`, { prefix: options.prefix }, options.limit);
    for await (const page of pages) {
      for (const key of page) {
        if (terminal.json) await terminal.record(key);
        else await terminal.line(printable(String(key)));
      }
    }
    return 0;
  },
});
