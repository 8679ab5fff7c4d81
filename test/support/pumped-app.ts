/** A job whose log is fed from `raw`, a log that no job reads. */
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { job } from "../../actors/model/job.ts";
import { repartition } from "../../actors/model/repartition.ts";
import { stream } from "../../actors/model/stream.ts";

const said = stream("said", { schema: Type.Object({ by: Type.String(), text: Type.String() }) });

const speaker = actor("speaker", {
  in: { said },
  state: { last: value(Type.Union([Type.String(), Type.Undefined()]), undefined) },
  on: {
    said(ctx, { text }) {
      if (text === "") throw new Error("nothing was said");
      ctx.state.last.set(text);
    },
  },
});

export default job("pumped", {
  log: "pumped",
  from: [repartition("raw", { streams: [said], key: (event) => event.data.by })],
  actors: [speaker],
});
