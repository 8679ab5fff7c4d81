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

const poison = actor("poison", {
  in: { dose: stream("poison.dose", { schema: Dose }) },
  out: { said: output("poison.said", { schema: Said }) },
  timers: { deadly: timer("event") },
  on: {
    dose(ctx, { act }) {
      if (act === "loop") loop();
      else if (act === "kill") process.kill(process.pid, "SIGKILL");
      else if (act === "arm") ctx.timers.deadly.at(ctx.now);
      if (act === "kill") loop();
      ctx.out.said({ key: ctx.key });
    },
    deadly: () => loop(),
  },
});

export default job("poison", { log: "poison", actors: [poison], outOfOrderness: 0, idle: "hold" });
