/** A job whose handler loops for ever, or takes its own process down, when an event says so. */
import { Type } from "typebox";
import { actor, timer } from "../../actors/model/actor.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";

const Dose = Type.Object({ act: Type.Union(["say", "loop", "kill", "arm"].map((act) => Type.Literal(act))) });
const Said = Type.Object({ key: Type.String() });

function loop(): void {
  for (;;) {
    // A handler is synchronous: nothing but the end of the process gets it out of here.
  }
}

/** The signal comes a moment later: until then the handler must not return. */
function die(): void {
  process.kill(process.pid, "SIGKILL");
  loop();
}

const poison = actor("poison", {
  in: { dose: stream("poison.dose", { schema: Dose }) },
  out: { said: output("poison.said", { schema: Said }) },
  timers: { deadly: timer("event") },
  on: {
    dose(ctx, { act }) {
      if (act === "loop") loop();
      else if (act === "kill") die();
      else if (act === "arm") ctx.timers.deadly.at(ctx.now);
      ctx.out.said({ key: ctx.key });
    },
    deadly: () => die(),
  },
});

export default job("poison", { log: "poison", actors: [poison], outOfOrderness: 0, idle: "hold" });
