/** Jobs with hidden state, each in a way that a real author might: what only folding again shows. */
import { Type } from "typebox";
import { actor } from "../../../actors/model/actor.ts";
import { value } from "../../../actors/model/cells/value.ts";
import { job } from "../../../actors/model/job.ts";
import { output, stream } from "../../../actors/model/stream.ts";

const note = stream("note", { schema: Type.Object({ text: Type.String() }) });
const noted = output("noted", { schema: Type.Object({ text: Type.String() }) });

function noting(name: string, change: (text: string) => string, emit: boolean) {
  const notes = actor(name, {
    in: { note },
    out: { noted },
    state: { last: value(Type.String()) },
    on: {
      note(ctx, { text }) {
        const changed = change(text);
        ctx.state.last.set(changed);
        if (emit) ctx.out.noted({ text: changed });
      },
    },
  });
  return job(name, { log: name, actors: [notes] });
}

let count = 0;
let configured = "";

/** What a test may do to the module from outside, and a fresh thread does not know. */
export function configure(text: string): void {
  configured = text;
}

export const clean = noting("clean", (text) => text.toUpperCase(), true);
export const counting = noting("counting", (text) => `${text} ${++count}`, true);
export const silent = noting("silent", (text) => `${text} ${++count}`, false);
export const configurable = noting("configurable", (text) => text + configured, true);

export default [clean, counting, silent, configurable];
