/** Two jobs on one log: cells of every kind, and a second reader that counts what it takes and keeps it for an hour. */
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { set } from "../../actors/model/cells/set.ts";
import { besideEachOther, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { cellJob } from "./cell-script.ts";

const watcher = actor("watcher", {
  in: {
    run: stream("cells.run", { schema: Type.Unknown() }),
    watched: stream("watch.seen", { schema: Type.Object({ what: Type.String() }) }),
  },
  out: { counted: output("watch.counted", { schema: Type.Unknown() }) },
  state: { runs: counter().ttl("30m"), seen: set(Type.String()).ttl("1h") },
  on: {
    run: ({ state }) => void state.runs.add(),
    watched({ state, out }, { what }) {
      if (state.seen.add(what)) out.counted({ runs: state.runs.get(), seen: state.seen.size });
    },
  },
});

const cells = cellJob();

export default besideEachOther([
  cells,
  job("watch", { log: cells.log, actors: [watcher], outOfOrderness: "1m", allowedLateness: "1h", dedupeHorizon: "2h", idle: "hold" }),
]);
